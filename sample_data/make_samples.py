"""Make the invented exports of this folder; every run writes the same cells.

Run from anywhere: ``python sample_data/make_samples.py``.
"""

from __future__ import annotations

import csv
import io
import random
import string
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = Path(__file__).parent
SEED = 1123
EXPORTED = datetime(2026, 10, 1, 8, tzinfo=UTC).replace(tzinfo=None)  # Excel knows no zones

PLACES = (
    ("Müller", "GmbH", "Stuttgart", "70173"),
    ("Nordwind", "AG", "Hamburg", "20095"),
    ("Dresdner Präzision", "GmbH & Co. KG", "Dresden", "01067"),
    ("Bayview", "Inc.", "Boston", "02110"),
    ("Garden State", "LLC", "Newark", "07102"),
    ("Åkerlund", "AB", "Malmö", "21119"),
    ("Boulanger", "S.A.R.L.", "Nice", "06000"),
    ("Fenwick & Sons", "Ltd", "Leeds", "LS1 4DY"),
    ("Puerto Azul", "S.L.", "Málaga", "29001"),
    ("Kestrel", "Corp.", "Hartford", "06103"),
)
TRADES = ("Logistics", "Software", "Foods", "Robotics", "Health", "Packaging")
INDUSTRIES = ("Transportation", "Technology", "Food & Beverage", "Machinery", "Healthcare", "Paper")
FIRST_NAMES = ("Anna", "Jörg", "Élise", "Tom", "Priya", "Søren", "Lucía", "Ben", "Zoë", "Ahmed")
LAST_NAMES = ("Weiß", "Okafor", "García", "O'Neill", "Lindqvist", "Novák", "Schröder", "Patel")
OWNERS = ("Dana Whitfield", "Jonas Brückner", "Mei Tanaka")
DESCRIPTIONS = (
    "",
    "Renewal in Q3, decision with the board.",
    'Calls itself "the quiet giant", buys late.\nPrefers e-mail, never phone.',
    "Two sites:\n- head office, 400 people\n- plant, 1,200 people",
    "Früher Kunde über Partner; Rückkehr geplant.",
)


def new_id(chance: random.Random) -> str:
    """A UUID of version 4 from the given chance."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def record_id(chance: random.Random, prefix: str) -> str:
    """A record ID of Salesforce: 15 characters, and 3 that keep their case for Excel.

    Each of the 3 stands for 5 characters: a bit for each capital among them, the first the lowest.
    """
    letters = string.digits + string.ascii_letters
    short = f"{prefix}5g00000{''.join(chance.choices(letters, k=15 - len(prefix) - 7))}"
    check = (
        sum(1 << at for at, each in enumerate(short[first : first + 5]) if each.isupper())
        for first in (0, 5, 10)
    )
    return short + "".join((string.ascii_uppercase + "012345")[bits] for bits in check)


def salesforce_accounts() -> str:
    """A report on accounts as Salesforce exports it: every field quoted."""
    chance = random.Random(SEED)
    records = random.Random(SEED + 4)  # of its own: the other cells stay as they were
    header = (
        "Company ID", "Account Name", "Account Owner", "Billing City", "Billing Postal Code",
        "Annual Revenue", "Industry", "Last Activity", "Description", "Account ID",
    )  # fmt: skip
    rows = []
    for number in range(60):
        name, legal_form, city, postal_code = PLACES[number % len(PLACES)]
        trade = number // len(PLACES)
        last_activity = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=chance.randrange(290))
        rows.append((
            new_id(chance), f"{name} {TRADES[trade]} {legal_form}", chance.choice(OWNERS), city,
            postal_code, f"{chance.randrange(5, 9000) * 10_000}.00", INDUSTRIES[trade],
            f"{last_activity:%Y-%m-%d}", chance.choice(DESCRIPTIONS), record_id(records, "001"),
        ))  # fmt: skip
    return csv_text(header, rows, ",", quote_all=True)


def hubspot_contacts() -> openpyxl.Workbook:
    """Contacts as HubSpot exports them to Excel, each column of its own type."""
    chance = random.Random(SEED + 1)
    workbook = openpyxl.Workbook()
    workbook.properties.created = workbook.properties.modified = EXPORTED
    sheet = workbook.worksheets[0]
    sheet.title = "Contacts"
    widths = {
        "Record ID": 14, "First Name": 13, "Last Name": 13, "Email": 36, "Contact ID": 39,
        "Company ID": 39, "Create Date": 18, "Phone Number": 18, "Employee Number": 17,
        "Deal Amount": 14, "Subscribed": 12,
    }  # fmt: skip
    sheet.append(list(widths))
    companies = [new_id(chance) for _ in range(12)]
    for number in range(40):
        first, last = FIRST_NAMES[number % len(FIRST_NAMES)], chance.choice(LAST_NAMES)
        created = EXPORTED - timedelta(minutes=chance.randrange(700_000))
        sheet.append([
            20_145_000_000 + chance.randrange(10**7), first, last,
            f"contact{number + 1:02}@example.com", new_id(chance), companies[number % 12],
            created, f"+49 30 555 {chance.randrange(1000, 9999)}",
            f"{chance.randrange(1, 99_999):06}", chance.randrange(20, 4000) * 12.5,
            chance.random() < 0.6,
        ])  # fmt: skip
    for column, width in enumerate(widths.values(), start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    for row in sheet.iter_rows(min_row=2):
        row[6].number_format = "yyyy-mm-dd hh:mm"
        row[9].number_format = "#,##0.00"
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    return workbook


def duplicates_and_damage() -> str:
    """A list after many hands: duplicates, spellings of one ID, and each kind of damage."""
    chance = random.Random(SEED + 2)
    header = ("Company ID", "Contact ID", "Firma", "Ort", "Umsatz", "Bemerkung")
    spelled = new_id(chance)
    repeated = (new_id(chance), new_id(chance))
    company_ids = [
        (spelled, "so steht sie im CRM"),
        (spelled.upper(), "Großbuchstaben"),
        (f"{{{spelled}}}", "geschweifte Klammern"),
        (f"urn:uuid:{spelled}", "als URN"),
        (spelled.replace("-", ""), "ohne Bindestriche"),
        (f"\u00a0{spelled} ", "Leerzeichen außen herum"),
        (f"https://app.example.com/companies/{spelled}?view=all", "aus der Adresszeile kopiert"),
        ("0015g00000XyZabAAB", "Salesforce-ID"),
        ("14829301754", "HubSpot-Nummer"),
        ("1,23457E+11", "von Excel verändert"),
        (new_id(chance)[:-9], "abgeschnitten"),
        ("a1b2c3d4-e5g6-7890-abcd-ef1234567890", "kein Hex-Zeichen"),
        ("#N/A", "kaputter SVERWEIS"),
        ("info@example.com", "falsche Spalte"),
        ("n/a", "Platzhalter"),
        ("0", "Platzhalter"),
        ("-", "Platzhalter"),
        ("", "leer"),
        ("   ", "nur Leerzeichen"),
    ]
    rows = [
        (company_id, "", *_german_company(number), remark)
        for number, (company_id, remark) in enumerate(company_ids)
    ]
    rows += [(*repeated, *_german_company(0), "doppelte Zeile")] * 3
    rows += [
        (new_id(chance), new_id(chance), *_german_company(number), "in Ordnung")
        for number in range(8)
    ]
    return csv_text(header, rows, ";")


def _german_company(number: int) -> tuple[str, str, str]:
    name, legal_form, city, _ = PLACES[number % 3]
    return f"{name} {TRADES[number % len(TRADES)]} {legal_form}", city, f"{number + 1}.250,50"


def salesforce_report() -> openpyxl.Workbook:
    """A report as Salesforce formats it: title and filters above, groups, subtotals, a footer."""
    chance = random.Random(SEED + 3)
    workbook = openpyxl.Workbook()
    workbook.properties.created = workbook.properties.modified = EXPORTED
    sheet = workbook.worksheets[0]
    sheet.title = "Accounts by Owner"
    for text in ("Accounts by Owner", "As of 2026-10-01 08:00", "Filtered By: my team's accounts"):
        sheet.append([None, text])
    sheet.merge_cells("B1:F1")
    sheet.append([])
    sheet.append([None, "Company ID", "Account Name", "City", "Postal Code", "Annual Revenue"])
    total, number = 0, 0
    for owner, count in zip(OWNERS, (5, 4, 6), strict=True):
        sheet.append([None, f"Account Owner: {owner} ({count} records)"])
        subtotal = 0
        for _ in range(count):
            name, legal_form, city, postal_code = PLACES[number % len(PLACES)]
            revenue = chance.randrange(5, 900) * 10_000
            subtotal += revenue
            number += 1
            company = f"{name} {chance.choice(TRADES)} {legal_form}"
            sheet.append([None, new_id(chance), company, city, postal_code, revenue])
        sheet.append([None, "Subtotal", None, None, None, subtotal])
        total += subtotal
    sheet.append([None, f"Grand Totals ({number} records)", None, None, None, total])
    sheet.append([])
    sheet.append([None, "Confidential Information - Do Not Distribute"])
    sheet.append([None, "Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved."])
    for cell in (*sheet[1], *sheet[5]):
        cell.font = Font(bold=True)
    sheet.row_dimensions[9].hidden = True
    for letter, width in zip("BCDEF", (39, 34, 14, 13, 16), strict=True):
        sheet.column_dimensions[letter].width = width
    return workbook


def csv_text(
    header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str, *, quote_all: bool = False
) -> str:
    """Write rows as CSV text with the line ends of Windows."""
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream, delimiter=delimiter, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def make_samples(folder: Path) -> None:
    """Write all samples into a folder."""
    (folder / "salesforce_accounts.csv").write_bytes(salesforce_accounts().encode())
    hubspot_contacts().save(folder / "hubspot_contacts.xlsx")
    salesforce_report().save(folder / "salesforce_report.xlsx")
    (folder / "duplicates_and_damage.csv").write_bytes(duplicates_and_damage().encode("cp1252"))


if __name__ == "__main__":
    make_samples(FOLDER)

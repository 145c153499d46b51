"""An invented batch with the richest results: what the pictures of the workbook show.

300 rows of 20 columns as a CRM exports them: results with a report in Markdown, numbers,
currencies, percentages, dates, links, lists and lists of objects; every outcome; duplicates; and
the results of an earlier batch, most of which are the same. The same number of rows gives the
same batch.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from batchrun.model import (
    BatchResults,
    BatchSummary,
    Cause,
    EarlierResults,
    Outcome,
    ResultRow,
    Role,
    Row,
    TableSource,
    Workflow,
)

if TYPE_CHECKING:
    from batchrun.model import JSON, Cell

HEADER = (
    "Account ID", "Account Name", "Account Owner", "Type", "Industry", "Website", "Phone",
    "Billing Street", "Billing City", "Billing State/Province", "Billing Zip/Postal Code",
    "Billing Country", "Annual Revenue", "Employees", "Rating", "Lead Source", "Created Date",
    "Last Activity", "Description", "PG Company ID",
)  # fmt: skip
COMPANY = HEADER.index("PG Company ID")
BEGAN = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
EARLIER = datetime(2026, 10, 26, 9, 0, tzinfo=UTC)

_SALESFORCE = 'company ID: "{}" looks like a Salesforce ID (18 characters), not a PG:AI ID'
_CUT = 'company ID: "{}" is not a PG:AI ID: it has fewer than 32 letters and digits'
_FIRST = ("Alpenglow", "Bluefin", "Cobalt", "Driftwood", "Ember", "Fjord", "Granite", "Höhe",
          "Ironwood", "Juniper", "Kestrel", "Lumen", "Meridian", "Northgate")  # fmt: skip
_SECOND = ("Logistics", "Robotics", "Foods", "Energy", "Health", "Software", "Components", "Labs")
_FORMS = ("GmbH", "Inc.", "Ltd", "S.A.", "AG", "& Co. KG")
_OWNERS = ("Amélie Roux", "Ben Carter", "Chiara Rossi", "Dana Novák", "Erik Lindqvist")
_PLACES = (("Stuttgart", "BW", "70173", "Germany"), ("Zürich", "ZH", "8001", "Switzerland"),
           ("Austin", "TX", "73301", "United States"), ("Łódź", "", "90-001", "Poland"),
           ("Leeds", "", "LS1 4AP", "United Kingdom"),
           ("Lyon", "ARA", "69002", "France"))  # fmt: skip
_INDUSTRIES = ("Logistics", "Medical devices", "Software", "Renewable energy", "Food & beverage",
               "Machinery")  # fmt: skip
_TECHNOLOGIES = ("Salesforce", "HubSpot", "Snowflake", "AWS", "SAP S/4HANA", "Marketo", "Slack")
_STAGES = ("Ready to buy", "Evaluating", "Aware", "Not in market")
_NEWS = (
    ("New VP of Sales joined from a competitor", "leadership"),
    ("Opens a second plant and hires for operations", "expansion"),
    ("Names data quality as a risk in the annual report", "risk"),
    ("Moves its CRM to the cloud", "technology"),
    ("Announces a partnership in Asia-Pacific", "expansion"),
    ("Raises prices after a difficult quarter", "finance"),
)
_PEOPLE = ("Zoë Müller", "Ana Conceição", "Takashi Ōno", "Grace O'Neil", "Sam Lee", "Ilse Bäck")
_POSITIONS = ("VP Sales", "Chief Revenue Officer", "Head of RevOps", "Director, Marketing")
_FAILURES = (
    ("No public information was found.", Cause.NOTHING_PUBLISHED),
    ("The research step timed out after 3 attempts.", Cause.TEMPORARY),
    ("The company record has no domain to research.", Cause.INCOMPLETE_RECORD),
)
_DAMAGED = (
    ("0015g00000XyZabAAB", _SALESFORCE),
    ("0015g00000Qr7TuAAJ", _SALESFORCE),
    ("3f2504e0-4f89-11d3-9a0c", _CUT),
    ("", "no company ID"),
    ("n/a", 'company ID: "{}" is a placeholder for an empty cell'),
)


def rich_batch(rows: int = 300, name: str = "emea-accounts.csv") -> BatchResults:
    """The batch; with ten rows or more, some fail, and an earlier batch has most of the results."""
    random = Random(rows)
    many = rows >= 10
    found = [_row(number, random, many=many) for number in range(rows)]
    if many:  # the same company under another owner
        for copy, original in ((rows // 3, 1), (rows // 2, 4)):
            again = list(found[original].row.cells)
            again[2] = "Erik Lindqvist"
            found[copy] = _with_cells(found[original], copy + 2, again)
    counted = Counter(each.outcome for each in found)
    sent = [each for each in found if each.outcome is not Outcome.INVALID]
    jobs = len({each.execution_id or each.row.line for each in sent})
    summary = BatchSummary(
        batch_id="1124-emea-accounts-7f3a",
        workflow=Workflow("wf_account_research", "Account Research"),
        source=TableSource(name, format="csv"),
        parameters={"depth": "comprehensive", "language": "en"},
        created_at=BEGAN,
        updated_at=BEGAN + timedelta(minutes=21),
        counts={outcome: counted[outcome] for outcome in Outcome},
        jobs=jobs,
        requests=2 * jobs + 9,
        estimated_seconds=1_150.0,
        estimated_requests=2 * jobs,
        worked_seconds=1_236.0,
        quota_seconds=655.0,
    )
    ids = ("1026-emea-accounts-1c22",)
    earlier = EarlierResults(ids, EARLIER, _earlier(found)) if many else None
    return BatchResults(summary, HEADER, found, {Role.COMPANY: COMPANY}, earlier=earlier)


def _with_cells(row: ResultRow, line: int, cells: list[Cell]) -> ResultRow:
    return ResultRow(
        Row(line, tuple(cells)),
        row.outcome,
        company_id=row.company_id,
        execution_id=row.execution_id,
        triggered_at=row.triggered_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=row.result,
    )


def _row(number: int, random: Random, *, many: bool) -> ResultRow:
    company = str(UUID(int=random.getrandbits(128), version=4))
    cells, place = _account(number, random, company)
    outcome, message, cause = Outcome.COMPLETED, "", None
    if many:
        match number % 60:
            case 7 | 17 | 27:
                outcome = Outcome.FAILED
                message, cause = _FAILURES[number % len(_FAILURES)]
            case 11 | 41:
                damaged, words = _DAMAGED[number // 30 % len(_DAMAGED)]
                message = words.format(damaged)
                cells[COMPANY], outcome = damaged, Outcome.INVALID
            case 33 if number < 120:
                outcome, cause = Outcome.REJECTED, Cause.UNKNOWN_RECORD
                message = f"HTTP 404: Company {company} not found"
            case 45 if number < 60:
                outcome, message = Outcome.IN_DOUBT, "the connection was lost after sending"
            case 51 if number < 60:
                outcome, message = Outcome.TIMED_OUT, "not finished after 30 minutes"
            case _:
                pass
    began = BEGAN + timedelta(seconds=4 * number)
    sent = outcome not in {Outcome.INVALID, Outcome.REJECTED, Outcome.IN_DOUBT}
    ended = outcome in {Outcome.COMPLETED, Outcome.FAILED}
    return ResultRow(
        Row(number + 2, tuple(cells)),
        outcome,
        message,
        company_id=None if outcome is Outcome.INVALID else company,
        execution_id=f"exec_{random.getrandbits(48):012x}" if sent else None,
        triggered_at=began if sent else None,
        started_at=began + timedelta(seconds=1) if sent else None,
        finished_at=began + timedelta(seconds=20 + random.randrange(70)) if ended else None,
        result=_result(random, company, place) if outcome is Outcome.COMPLETED else None,
        cause=cause,
    )


def _account(number: int, random: Random, company: str) -> tuple[list[Cell], str]:
    first, second = random.choice(_FIRST), random.choice(_SECOND)
    city, state, code, country = random.choice(_PLACES)
    site = f"https://www.{first}-{second}.example".lower().replace("ö", "oe")
    created = date(2021, 1, 4) + timedelta(days=random.randrange(1_700))
    cells: list[Cell] = [
        f"0015g00000{random.getrandbits(28):07d}"[:15] + "AAA",
        f"{first} {second} {random.choice(_FORMS)}",
        random.choice(_OWNERS),
        random.choice(("Customer", "Prospect", "Partner")),
        random.choice(_INDUSTRIES),
        site,
        f"+49 711 {random.randrange(10**6):06d}",
        f"{random.choice(('Hauptstraße', 'High Street', 'Rue de la Paix'))} {number % 90 + 1}",
        city,
        state,
        code,
        country,
        str(random.randrange(1, 900) * 100_000),
        str(random.randrange(20, 9_000)),
        random.choice(("Hot", "Warm", "Cold")),
        random.choice(("Web", "Trade show", "Referral", "")),
        created.isoformat(),
        (date(2026, 11, 20) - timedelta(days=random.randrange(200))).isoformat(),
        random.choice(("", "Two sites; ask for the new buyer.", "Renewal in spring.")),
        company,
    ]
    return cells, city


def _result(random: Random, company: str, city: str) -> dict[str, JSON]:
    news = random.sample(_NEWS, random.randrange(1, 5))
    report = f"rpt_{random.getrandbits(32):08x}"
    fit = round(random.betavariate(4, 2) * 100)
    stage = _STAGES[min(3, (100 - fit) // 18)]
    employees = random.randrange(20, 12_000)
    insights: list[JSON] = [
        {
            "title": title,
            "category": kind,
            "relevance": random.randrange(30, 100),
            "source_url": f"https://news.example/{random.getrandbits(24):06x}",
            "published_on": (date(2026, 8, 1) + timedelta(days=random.randrange(110))).isoformat(),
            "quotes": [{"text": "We will double the team this year.", "speaker": _PEOPLE[0]}]
            if random.random() < 0.2
            else [],
        }
        for title, kind in news
    ]
    funding: JSON = {"amount_usd": random.randrange(1, 400) * 250_000, "on": "2025-05-14"}
    return {
        "summary": _summary(random, city, [title for title, _ in news], stage, report),
        "company_id": company,
        "outputs": {
            "report_id": report,
            "report_url": f"https://reports.example/{report}",
            "fit_score": fit,
            "fit_reason": f"{stage}; {news[0][0][0].lower()}{news[0][0][1:]}.",
            "buying_stage": stage,
            "win_probability_pct": round(fit * 0.7 + random.random() * 10, 1),
            "researched_at": f"2026-11-24T{8 + random.randrange(2):02d}:15:00Z",
        },
        "company": {
            "industry": random.choice(_INDUSTRIES),
            "employees": employees,
            "headcount_growth": round(random.uniform(-0.1, 0.4), 3),
            "headquarters": {"city": city, "country_code": "DE"},
            "founded": random.choice((None, random.randrange(1890, 2022))),
            "arr_eur": employees * 1_000 + 250,
            "last_funding": random.choice((None, funding)),
            "is_public": random.random() < 0.2,
        },
        "technologies": [*random.sample(_TECHNOLOGIES, random.randrange(5))],
        "insights": insights,
        "contacts": [
            {
                "name": random.choice(_PEOPLE),
                "title": random.choice(_POSITIONS),
                "email": f"person{random.randrange(1000)}@company.example",
                "linkedin_url": f"https://www.linkedin.com/in/person-{random.getrandbits(20)}",
            }
            for _ in range(random.randrange(4))
        ],
        "model_version": "2026-11",
    }


def _summary(random: Random, city: str, news: list[str], stage: str, report: str) -> str:
    points = "\n".join(f"- **{title}** ({random.randrange(30, 99)} %)" for title in news)
    return (
        f"**{stage}.** Based in {city}, growing in two of three markets.\n\n"
        f"## What matters now\n\n{points}\n\n"
        f"1. Call the new buyer\n2. Offer the *pilot*\n\n"
        f"See the [report](https://reports.example/{report})."
    )


def _earlier(found: list[ResultRow]) -> list[tuple[JSON, datetime | None]]:
    """Most results as they are now, some with other values, some rows not yet there."""
    random = Random(7)
    rows: list[tuple[JSON, datetime | None]] = []
    for number, row in enumerate(found):
        if not isinstance(row.result, dict) or number % 12 == 5:
            rows.append((None, None))
            continue
        outputs = row.result["outputs"]
        assert isinstance(outputs, dict)
        report = f"rpt_{random.getrandbits(32):08x}"
        found_before = {
            **outputs,
            "report_id": report,
            "report_url": f"https://reports.example/{report}",
            "researched_at": "2026-10-26T09:15:00Z",
        }
        before = {
            **row.result,
            "summary": str(row.result["summary"]).replace(str(outputs["report_id"]), report),
            "outputs": found_before,
        }
        if number % 5 == 2:
            fit = outputs["fit_score"]
            assert isinstance(fit, int)
            found_before["fit_score"] = min(max(fit + random.randrange(-25, 16), 0), 100)
            insights = row.result["insights"]
            assert isinstance(insights, list)
            before["insights"] = insights[random.randrange(2) :]
        rows.append((before, EARLIER + timedelta(minutes=number % 50)))
    return rows

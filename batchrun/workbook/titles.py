"""Titles and number formats for people, made from the keys of a result. Pure.

``company.last_funding.amount_usd`` is titled "Last funding (USD)" and shown as ``$1,000,000``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.flatten import Path

_SPELLED = """
ACV AI API ARR AUM B2B B2C CAC CAGR CAPEX CEO CFO CHRO CIO CISO CMO COO CPO CRM CRO CSV CTO D2C
DACH DNS DUNS EBIT EBITDA EMEA ERP ESG EU EVP FTE FTEs GAAP GDPR GitHub GmbH GTM HQ HR HTTP HTTPS
HubSpot IBAN ICP ID IDs IP IPO ISIN ISO JSON KPI KPIs LEI LinkedIn LLC LTV M&A MRR NAICS NPS OKR
OPEX PDF PG PR QA QBR QoQ R&D RFP ROI SaaS SDR SEC SEM SEO SIC SKU SLA SMB SQL SSO SVP TAM TCV UAE
UI UK URL URLs US USP UTC UX VAT VC VP WACC XML YoY YouTube ZIP
"""
_SPELLINGS = {word.casefold(): word for word in _SPELLED.split()}
"""Words that are not written in lower case."""

CURRENCIES = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "chf": "CHF", "cad": "CA$", "aud": "A$",
    "nzd": "NZ$", "sek": "SEK", "nok": "NOK", "dkk": "DKK", "pln": "PLN", "czk": "CZK",
    "inr": "₹", "cny": "CN¥", "brl": "R$", "mxn": "MX$", "krw": "₩", "zar": "ZAR", "sgd": "S$",
    "hkd": "HK$", "ils": "₪", "try": "TRY", "huf": "HUF",
}  # fmt: skip
_PERCENT = {"pct", "percent", "percentage"}
_CONTAINERS = {"output", "outputs", "result", "results", "data", "response", "payload", "fields"}
"""Keys that only hold others, and say nothing of them."""
_AMOUNTS = {"amount", "value", "sum", "total"}
_MEANINGLESS = {
    *_AMOUNTS, "at", "by", "code", "count", "date", "description", "email", "end", "from", "id",
    "in", "key", "kind", "label", "max", "mean", "min", "name", "no", "number", "of", "on",
    "start", "text", "time", "title", "to", "type", "unit", "url", "uuid", "year",
}  # fmt: skip
"""Words that need the key above them to say what they are of."""
_NO_QUANTITY = {
    "code", "established", "fiscal", "founded", "id", "ids", "incorporated", "key", "no", "nr",
    "number", "phone", "postal", "postcode", "since", "version", "year", "zip",
}  # fmt: skip
"""Words of whole numbers that are names or years: nobody separates their thousands."""
_IDENTIFIER = re.compile(r"[^\W\d_][^\W_]*(?:[_\-][^\W_]+)*")
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
MOST_DECIMALS = 4


def words_of(key: str) -> list[str]:
    """The words of a key; a key that is no identifier is for people already, and one word."""
    if len(key) > 100 or not _IDENTIFIER.fullmatch(key):
        return [key if key.strip() else "(blank)"]
    words = [
        word
        for part in re.split(r"[_\-]", key)
        for word in ([part] if part.casefold() in _SPELLINGS else _split(part))
    ]
    return [word.lower() for word in words]


def _split(part: str) -> list[str]:
    """The words of ``camelCase``; other letters than ASCII's are left together."""
    return _WORD.findall(part) if part.isascii() else [part]


def titles_of(paths: Iterable[Path], taken: Iterable[str]) -> dict[Path, str]:
    """A title for each path: its last key, and of those above as much as tells it from others.

    Args:
        paths: The paths, in the order of their columns.
        taken: Titles that others have already.
    """
    wanted = {path: _shortest(path) for path in paths}
    titles = {path: _title(path, keys) for path, keys in wanted.items()}
    foreign = {title.casefold() for title in taken}
    while True:
        counted: dict[str, int] = {}
        for title in titles.values():
            counted[title.casefold()] = counted.get(title.casefold(), 0) + 1
        unclear = [
            path
            for path, title in titles.items()
            if (counted[title.casefold()] > 1 or title.casefold() in foreign)
            and wanted[path] < len(path)
        ]
        if not unclear:
            return _numbered(titles, foreign)
        for path in unclear:
            wanted[path] += 1
            titles[path] = _title(path, wanted[path])


def full_title(path: Path) -> str:
    """A title of all keys of a path."""
    return _title(path, len(path))


def _numbered(titles: Mapping[Path, str], taken: set[str]) -> dict[Path, str]:
    """The same, with a number where two are still alike."""
    found: dict[Path, str] = {}
    for path, wanted in titles.items():
        title, number = wanted, 2
        while title.casefold() in taken:
            title, number = f"{wanted} ({number})", number + 1
        taken.add(title.casefold())
        found[path] = title
    return found


def _shortest(path: Path) -> int:
    """How many of the last keys a title needs at least."""
    words, unit = _split_unit(words_of(path[-1]))
    alone = not words or (bool(unit) and set(words) <= _AMOUNTS)
    if len(path) > 1 and (alone or set(words) <= _MEANINGLESS):
        return 1 if path[-2].casefold() in _CONTAINERS and not alone else 2
    return 1


def _title(path: Path, keys: int) -> str:
    last, unit = _split_unit(words_of(path[-1]))
    above = [word for key in path[-keys:-1] for word in words_of(key)]
    if unit and above and set(last) <= _AMOUNTS:
        last = []
    words = [*above, *last] or words_of(path[-1])
    spelled = [_SPELLINGS.get(word.casefold(), word) for word in words]
    first = spelled[0]
    if first == words[0]:
        first = first[:1].upper() + first[1:]
    title = " ".join([first, *spelled[1:]])
    return f"{title} ({unit})" if unit and title.casefold() != unit.casefold() else title


def _split_unit(words: list[str]) -> tuple[list[str], str]:
    """The words without a unit at their end, and that unit."""
    if words and words[-1] in CURRENCIES:
        return words[:-1], words[-1].upper()
    if words and words[-1] in _PERCENT:
        return words[:-1], "%"
    return words, ""


def number_format(path: Path, survey: ColumnSurvey) -> str:
    """How a column's numbers are shown; ``""`` for as they are."""
    words = words_of(path[-1])
    decimals = min(survey.decimals, MOST_DECIMALS)
    fraction = f".{'0' * decimals}" if decimals else ""
    unit = words[-1]
    if unit in CURRENCIES:
        sign = CURRENCIES[unit]
        space = " " if sign.isalpha() else ""
        money = ".00" if decimals else ""
        return f'"{sign}{space}"#,##0{money}'
    if unit in _PERCENT:
        return f'#,##0{fraction}"%"'
    if survey.kinds == {int} and _NO_QUANTITY & set(words):
        return "0"
    return f"#,##0{fraction}"


_CODE = re.compile(r'(?:"([^"]*)")?(#,##)?0(?:\.(0+))?(?:"([^"]*)")?')


def number_as_shown(value: int | float, code: str) -> str:
    """A number as a spreadsheet shows it in one of the formats of `number_format`."""
    found = _CODE.fullmatch(code)
    if found is None or not math.isfinite(value):
        return str(value)
    before, grouped, decimals, after = found.groups(default="")
    places, comma = len(decimals), "," if grouped else ""
    if isinstance(value, int):  # a large one is no float
        digits = f"{abs(value):{comma}}" + (f".{'0' * places}" if places else "")
    else:
        digits = f"{abs(value):{comma}.{places}f}"
    return f"{'-' if value < 0 else ''}{before}{digits}{after}"


def is_quantity(path: Path, survey: ColumnSurvey) -> bool:
    """Whether a column's values are numbers that can be compared."""
    if not survey.kinds or not survey.kinds <= {int, float}:
        return False
    return survey.kinds != {int} or not _NO_QUANTITY & set(words_of(path[-1]))


_SCORES = {
    "confidence", "fit", "grade", "index", "likelihood", "match", "potential", "priority",
    "probability", "propensity", "rank", "rating", "readiness", "relevance", "score", "strength",
}  # fmt: skip


_RANKS = {"position", "rank", "ranking"}
"""Words of numbers of which the lowest is the best."""


def is_rank(path: Path) -> bool:
    """Whether the lowest number is the best."""
    return bool(_RANKS & set(words_of(path[-1])))


def is_score(path: Path) -> bool:
    """Whether a number says how good a row is."""
    return bool(_SCORES & set(words_of(path[-1])))

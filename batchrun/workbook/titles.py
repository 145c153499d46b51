"""Make titles and number formats for people from the keys of a result. Pure.

``company.last_funding.amount_usd`` is titled "Last funding (USD)" and shown as ``$1,000,000``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from batchrun.workbook.cells import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.flatten import Path

_SPELLED = """
ACV AI API ARR AUM B2B B2C CAC CAGR CAPEX CEO CFO CHRO CIO CISO CMO COO CPO CRM CRO CSV CTO D2C
DACH DNS DUNS EBIT EBITDA EMEA ERP ESG EU EVP FTE FTEs GAAP GDPR GitHub GmbH GTM HQ HR HTTP HTTPS
HubSpot IBAN ICP ID IDs iOS IP IPO ISIN ISO JSON KPI KPIs LEI LinkedIn LLC LTV M&A MRR NAICS NPS
OKR OpenAI OPEX PDF PG PR QA QBR QoQ R&D RFP ROI SaaS SDR SEC SEM SEO SIC SKU SLA SMB SQL SSO SVP
TAM TCV UAE UI UK URL URLs US USP UTC UX VAT VC VP WACC XML YoY YouTube ZIP
"""
_SPELLINGS = {word.casefold(): word for word in _SPELLED.split()}
"""Words that are not written in lower case."""
_CAPITALS_INSIDE = [each for each in _SPELLED.split() if not each.isupper() or "2" in each]
_UNUSUAL = re.compile(rf"(?<![A-Z])({'|'.join(_CAPITALS_INSIDE)})(?![a-z])")
"""Words in `_SPELLINGS` that splitting ``camelCase`` would break."""

CURRENCIES = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "chf": "CHF", "cad": "CA$", "aud": "A$",
    "nzd": "NZ$", "sek": "SEK", "nok": "NOK", "dkk": "DKK", "pln": "PLN", "czk": "CZK",
    "inr": "₹", "cny": "CN¥", "brl": "R$", "mxn": "MX$", "krw": "₩", "zar": "ZAR", "sgd": "S$",
    "hkd": "HK$", "ils": "₪", "try": "TRY", "huf": "HUF", "aed": "AED", "ars": "ARS", "clp": "CLP",
    "idr": "IDR", "myr": "MYR", "sar": "SAR", "thb": "THB", "twd": "NT$", "uah": "UAH",
}  # fmt: skip
_SPELLINGS |= {code: code.upper() for code in CURRENCIES if code != "try"}
_SCALES = {
    "k": "thousands", "thousand": "thousands", "thousands": "thousands", "m": "millions",
    "mio": "millions", "mm": "millions", "mn": "millions", "million": "millions",
    "millions": "millions", "bn": "billions", "billion": "billions", "billions": "billions",
}  # fmt: skip
"""The scale of an amount, by the word beside its currency."""
_LETTERS = {"": "", "thousands": "K", "millions": "M", "billions": "B"}
_UNITS = {
    "pct": "%", "percent": "%", "percentage": "%", "km": "km", "kg": "kg", "sqm": "m²",
    "sqft": "sq ft", "ms": "ms", "sec": "s", "secs": "s", "kwh": "kWh", "mwh": "MWh", "gwh": "GWh",
    "mw": "MW", "gw": "GW", "mb": "MB", "gb": "GB", "tb": "TB",
}  # fmt: skip
_CONTAINERS = {"output", "outputs", "result", "results", "data", "response", "payload", "fields"}
"""Keys that only contain others and carry no meaning."""
_AMOUNTS = {"amount", "value", "sum", "total"}
_MEANINGLESS = {
    *_AMOUNTS, "at", "by", "code", "confidence", "count", "date", "description", "email", "end",
    "explanation", "from", "id", "in", "key", "kind", "label", "level", "max", "mean", "min",
    "name", "no", "number", "of", "on", "overall", "rationale", "reason", "reasons", "score",
    "start", "status", "text", "time", "title", "to", "type", "unit", "url", "uuid", "year",
}  # fmt: skip
"""Words that mean nothing without the key above them."""
_NO_QUANTITY = {
    "cik", "cnpj", "code", "date", "duns", "ein", "epoch", "established", "fax", "fiscal",
    "founded", "founding", "id", "ids", "incorporated", "key", "naics", "no", "nr", "number",
    "phone", "plz", "postal", "postcode", "sic", "since", "siren", "siret", "tel", "telephone",
    "timestamp", "unix", "version", "year", "zip",
}  # fmt: skip
"""Words for integers that are identifiers or years, which have no thousands separators."""
_SHARES = {
    "confidence", "fraction", "growth", "likelihood", "margin", "probability", "propensity",
    "share",
}  # fmt: skip
"""Words for numbers between -1 and 1 that are shares of 1."""
STANDARD_FIELDS = frozenset({
    "annual revenue", "city", "country", "country/region", "description", "email", "employees",
    "industry", "name", "number of employees", "phone", "phone number", "postal code", "rating",
    "state", "state/region", "street", "title", "type", "website", "website url", "year founded",
})  # fmt: skip
"""Labels of fields that CRMs have for every account, company or contact, in lower case.

Result columns get longer titles, even if the list has no such column. So titles don't depend on the
list, and an import into a CRM doesn't overwrite the field.
"""
_IDENTIFIER = re.compile(r"(?:[^\W_]|&)+(?:[_\-]+(?:[^\W_]|&)+)*")
MAX_DECIMALS = 4
_KEPT_KEYS = 2**14
"""Keys to cache, as many as a sheet has columns: each is split several times per workbook."""


class _Unit(NamedTuple):
    """The unit that a key's last words name."""

    words: int = 0  # number of words that name the unit
    title: str = ""  # the unit as a title shows it
    currency: str = ""
    scale: str = ""  # the scale of the amount, such as `millions`


@lru_cache(_KEPT_KEYS)
def words_of(key: str) -> tuple[str, ...]:
    """Return a key's words in lower case; a key that is not an identifier is one word."""
    return tuple(word.lower() for word in _words(key))


@lru_cache(_KEPT_KEYS)
def _words(key: str) -> tuple[str, ...]:
    """Return a key's words as titles spell them; a key that is not an identifier stays whole.

    Salesforce custom field names end in ``__c``.
    """
    name = key.removesuffix("__c").strip("_ ")
    date_like = name[:1].isdigit() and "_" not in name
    if len(key) > 100 or date_like or not _IDENTIFIER.fullmatch(name):
        return (key.strip() or "(blank)",)
    return tuple(
        _SPELLINGS.get(word.casefold())
        or (word if word.isupper() and len(word) > 1 and not name.isupper() else word.lower())
        for part in re.split(r"[_\-]+", name)
        for word in ([part] if part.casefold() in _SPELLINGS else _split(part))
    )


def _split(part: str) -> list[str]:
    """Split ``camelCase`` into words, in any script that has capitals."""
    words: list[str] = []
    for at, piece in enumerate(_UNUSUAL.split(part)):
        first = 0
        for here in range(1, len(piece) * (at % 2 == 0)):
            lower_after = piece[here + 1 : here + 2].islower()
            if piece[here].isupper() and (not piece[here - 1].isupper() or lower_after):
                words.append(piece[first:here])
                first = here
        words.append(piece[first:])
    return list(filter(None, words))


def titles_of(paths: Iterable[Path], taken: Iterable[str]) -> dict[Path, str]:
    """Return a title for each path: its last key, plus as many keys above it as make it unique.

    Titles depend only on the paths; one that is ``taken`` gets a number.
    """
    wanted = {path: _shortest(path) for path in paths}
    titles = {path: _title(path, keys) for path, keys in wanted.items()}
    while True:
        counted = Counter(title.casefold() for title in titles.values())
        unclear = [
            path
            for path, title in titles.items()
            if (counted[title.casefold()] > 1 or title.casefold() in STANDARD_FIELDS)
            and wanted[path] < len(path)
        ]
        if not unclear:
            break
        for path in unclear:
            wanted[path] += 1
            titles[path] = _title(path, wanted[path])
    used = {title.casefold() for title in taken}
    for path, title in titles.items():
        titles[path] = next(each for each in numbered(title) if each.casefold() not in used)
        used.add(titles[path].casefold())
    return titles


def full_title(path: Path) -> str:
    """Return a title made of all keys of a path."""
    return _title(path, len(path))


def _shortest(path: Path) -> int:
    """Return how many of the last keys a title needs at least."""
    words, keys = words_of(path[-1]), 1
    unit = _unit_of(words)
    words = words[: len(words) - unit.words]
    amount = bool(unit.words) and set(words) <= _AMOUNTS
    while keys < len(path) and all(word in _MEANINGLESS or word.isdigit() for word in words):
        if path[-keys - 1].casefold() in _CONTAINERS and not amount:
            break
        keys += 1
        words = words_of(path[-keys])
    return keys


def _title(path: Path, keys: int) -> str:
    last = _words(path[-1])
    unit = _unit_of([word.lower() for word in last])
    last = last[: len(last) - unit.words]
    above = [word for key in path[-keys:-1] for word in _words(key)]
    if unit.words and above and {word.lower() for word in last} <= _AMOUNTS:
        last = ()
    first, *others = [*above, *last] or [unit.title]
    if first == first.lower():
        first = first[:1].upper() + first[1:]
    title = " ".join([first, *others])
    return f"{title} ({unit.title})" if unit.title and title != unit.title else title


def _unit_of(words: Sequence[str]) -> _Unit:
    """Return the unit at the end of a key's words."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in CURRENCIES:
        code, scale, taken = last, _SCALES.get(before, ""), 1 + (before in _SCALES)
    elif last in _SCALES and before in CURRENCIES:
        code, scale, taken = before, _SCALES[last], 2
    elif last[1:] in CURRENCIES and last[0] in "km":
        code, scale, taken = last[1:], _SCALES[last[0]], 1
    else:
        return _Unit(1, _UNITS[last]) if last in _UNITS else _Unit()
    sign = CURRENCIES[code]
    title = f"{code.upper()} {scale}".strip()
    return _Unit(taken, title, f"{sign} " if sign.isalpha() else sign, scale)


def number_format(path: Path, survey: ColumnSurvey) -> str:
    """Return the number format of a column; ``""`` for the default."""
    words = words_of(path[-1])
    unit = _unit_of(words)
    decimals = min(survey.decimals, MAX_DECIMALS)
    fraction = f".{'0' * decimals}" if decimals else ""
    if unit.currency:
        letter = _LETTERS[unit.scale]
        return f'"{unit.currency}"#,##0{".00" if decimals else ""}' + f'"{letter}"' * bool(letter)
    share = unit.title == "%" or (words[-1] in _SHARES and "per" not in words)
    if share and survey.is_fraction:
        return f"#,##0{fraction[:1] + fraction[3:] if decimals > 2 else ''}%"
    if unit.title == "%":
        return f'#,##0{fraction}"%"'
    if not decimals and _NO_QUANTITY & set(words):
        return "0"
    return "" if survey.tiny else f"#,##0{fraction}"


_CODE = re.compile(r'(?:"([^"]*)")?(#,##)?0(?:\.(0+))?(?:"([^"]*)"|(%))?')


def number_as_shown(value: int | float, code: str) -> str:
    """Format a number as a spreadsheet does with one of the formats of `number_format`."""
    found = _CODE.fullmatch(code)
    if found is None or not math.isfinite(value):
        return str(value)
    before, grouped, decimals, after, percent = found.groups(default="")
    places, comma = len(decimals), "," if grouped else ""
    if percent:
        value, after = value * 100, percent
    if isinstance(value, int):  # large integers don't fit into a float
        digits = f"{abs(value):{comma}}" + (f".{'0' * places}" if places else "")
    else:
        digits = f"{abs(value):{comma}.{places}f}"
    return f"{'-' if value < 0 else ''}{before}{digits}{after}"


def is_quantity(path: Path, survey: ColumnSurvey) -> bool:
    """Whether a column's values are numbers that can be compared."""
    if not survey.kinds or not survey.kinds <= {int, float}:
        return False
    return bool(survey.decimals) or not _NO_QUANTITY & set(words_of(path[-1]))


_SCORES = {
    "confidence", "fit", "grade", "index", "likelihood", "match", "potential", "priority",
    "probability", "propensity", "rank", "rating", "readiness", "relevance", "score", "strength",
}  # fmt: skip


_RANKS = {"position", "rank", "ranking"}
"""Words for numbers of which the lowest is best."""


def is_rank(path: Path) -> bool:
    """Whether the lowest number is best."""
    return bool(_RANKS & set(words_of(path[-1])))


def is_score(path: Path) -> bool:
    """Whether a number says how good a row is."""
    return bool(_SCORES & set(words_of(path[-1])))

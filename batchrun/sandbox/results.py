"""Fates and results of executions. They depend only on seed and body, not on request order."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchrun.model import JSON

FAILURES = (
    "A data source was temporarily unavailable.",
    "The research step timed out after 3 attempts.",
    "The research service was overloaded.",
)
"""All of them temporary: a retry succeeds at once."""
_INDUSTRIES = ("Logistics", "Medical devices", "Software", "Renewable energy", "Food & beverage")
_CITIES = (("São Paulo", "BR"), ("Zürich", "CH"), ("Austin", "US"), ("Łódź", "PL"), ("Osaka", "JP"))
_TECHNOLOGIES = ("Salesforce", "HubSpot", "Snowflake", "AWS", "SAP S/4HANA", "Marketo", "Slack")
_NEWS = (
    "+12 % headcount in a year",
    "New VP of Sales joined from a competitor",
    "Opened a second plant; hiring for operations",
    "Cites “data quality” as a risk in the annual report",
    "Moved its CRM to the cloud",
    "Announced a partnership in Asia-Pacific",
)
_PEOPLE = ("Zoë Müller", "Ana Conceição", "Takashi Ōno", "Grace O'Neil", "Sam Lee", "Ilse Bäck")
_POSITIONS = ("VP Sales", "Chief Revenue Officer", "Head of RevOps", "Director, Marketing")
_FIRST_DAY = date(2025, 1, 1)


def canonical(body: Mapping[str, JSON]) -> str:
    """Serialize a body so that equal bodies give equal strings."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def draw_fate(
    body: str, *, seed: int, fail: float, draw_run_seconds: Callable[[Random], float]
) -> tuple[float, str | None]:
    """Draw how long a canonical body's execution runs, in seconds, and why it fails, if it does."""
    random = Random(int.from_bytes(_digest(seed, "fate", body), "big"))
    run_seconds = draw_run_seconds(random)
    failing = random.random() < fail
    return run_seconds, random.choice(FAILURES) if failing else None


def result_digest(body: str, *, seed: int) -> str:
    """Return what the result of a canonical body's execution depends on, in 32 hex digits."""
    return _digest(seed, "result", body).hex()


def draw_result(workflow: str, body: Mapping[str, JSON], digest: str) -> dict[str, JSON]:
    """Draw the result of a completed execution: nested, irregular and with non-ASCII text.

    If the body is empty, because it is unknown, the result doesn't say whom it is about.
    """
    random = Random(int(digest, 16))
    insights = _insights(random)
    city, country = random.choice(_CITIES)
    report_id = f"rpt_{random.getrandbits(32):08x}"
    result: dict[str, JSON] = {
        "summary": _summary(workflow, city, insights),
        **{name: body.get(name) for name in ("company_id", "contact_id") if body},
        "outputs": {
            "report_id": report_id,
            "report_url": f"https://reports.example/{report_id}",
            "insights_count": len(insights),
            "fit_score": round(random.uniform(0.2, 0.99), 2),
            "researched_on": _day(random),
        },
        "company": {
            "industry": random.choice(_INDUSTRIES),
            "employees": random.randrange(20, 20_000),
            "headquarters": {"city": city, "country": country},
            "founded": random.choice((None, random.randrange(1890, 2022))),
            "last_funding": _funding(random),
        },
        "technologies": [*random.sample(_TECHNOLOGIES, random.randrange(5))],
        "insights": [*insights],
        "contacts": [_contact(random) for _ in range(random.randrange(4))],
    }
    if random.random() < 0.05:
        result["caveat"] = "Sources disagree about the number of employees."
    return result


def _digest(seed: int, purpose: str, body: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{purpose}\n{body}".encode()).digest()[:16]


def _insights(random: Random) -> list[dict[str, JSON]]:
    return [
        {
            "title": title,
            "score": random.randrange(1, 101),
            "url": f"https://news.example/{random.getrandbits(24):06x}",
            "published_on": random.choice((_day(random), _day(random), None)),
        }
        for title in random.sample(_NEWS, random.randrange(1, len(_NEWS)))
    ]


def _contact(random: Random) -> dict[str, JSON]:
    contact: dict[str, JSON] = {
        "name": random.choice(_PEOPLE),
        "title": random.choice(_POSITIONS),
        "score": round(random.random(), 3),
        "email": None,
    }
    if random.random() < 0.7:
        contact["email"] = f"person{random.randrange(1000)}@company.example"
    return contact


def _funding(random: Random) -> JSON:
    if random.random() < 0.5:
        return None
    return {"amount_usd": random.randrange(1, 400) * 250_000, "on": _day(random)}


def _day(random: Random) -> str:
    return (_FIRST_DAY + timedelta(days=random.randrange(300))).isoformat()


def _summary(workflow: str, city: str, insights: list[dict[str, JSON]]) -> str:
    points = "\n".join(f"- **{insight['title']}** ({insight['score']})" for insight in insights)
    return f"## {workflow}\n\nBased in {city}. What matters now:\n\n{points}"

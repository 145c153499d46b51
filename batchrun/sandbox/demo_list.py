"""A fictional CRM export for `batchrun demo`: mostly clean, with a duplicate and a damaged ID."""

from __future__ import annotations

import csv
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO_HEADER = ("Company ID", "Company name", "Domain", "Owner", "ARR", "Postal code")
"""Column names of the demo list."""

_DAMAGED_ID = "0015g00000XyZabAAB"  # a Salesforce ID instead of the company's UUID
_FIRST_WORDS = ("Alpenglow", "Bluefin", "Cobalt", "Driftwood", "Ember", "Fjord", "Granite", "Höhe")
_SECOND_WORDS = ("Logistics", "Robotics", "Foods", "Energy", "Health", "Studios", "Systems")
_ENDINGS = ("Inc.", "GmbH", "Ltd", "S.A.")
_OWNERS = ("Amélie Roux", "Ben Carter", "Chiara Rossi", "Dana Novák")


_ROWS = 40


def demo_rows() -> Iterator[tuple[str, ...]]:
    """Yield the demo list's rows, always the same; the columns are `DEMO_HEADER`.

    One row repeats the first row's company with another owner, and one has an invalid ID.
    """
    random = Random(0)
    first, *rest = (_account(random) for _ in range(_ROWS))
    yield first
    for position, account in enumerate(rest, start=1):
        if position == _ROWS // 3:
            yield (*first[:3], account[3], *first[4:])
        elif position == 2 * _ROWS // 3:
            yield (_DAMAGED_ID, *account[1:])
        else:
            yield account


def write_demo_list(path: Path) -> None:
    """Write the demo list as UTF-8 CSV. Replaces an existing file."""
    path.unlink(missing_ok=True)  # it may be a pipe without a reader
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(DEMO_HEADER)
        writer.writerows(demo_rows())


def _account(random: Random) -> tuple[str, ...]:
    first, second = random.choice(_FIRST_WORDS), random.choice(_SECOND_WORDS)
    domain = f"{first}-{second}.example".lower().replace("ö", "oe")
    return (
        str(UUID(int=random.getrandbits(128), version=4)),
        f"{first} {second} {random.choice(_ENDINGS)}",
        domain,
        random.choice(_OWNERS),
        str(random.randrange(0, 500_000, 500)),
        f"{random.randrange(100, 9_999):05d}",
    )

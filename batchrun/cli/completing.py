"""What a shell offers to complete; never a word on the screen, whatever goes wrong."""

from __future__ import annotations

from contextlib import suppress

from batchrun.words import plural

OFFERED = 20


def batch_ids(incomplete: str) -> list[tuple[str, str]]:
    """The newest batches of the journal, each with what it was."""
    offered: list[tuple[str, str]] = []
    with suppress(Exception):  # no journal, an unusable one: there is nothing to offer
        from batchrun import batches

        offered += [
            (each.batch_id, f"{each.workflow.name}, {plural(each.rows, 'row')}")
            for each in batches()
            if each.batch_id.startswith(incomplete)
        ]
    return offered[:OFFERED]

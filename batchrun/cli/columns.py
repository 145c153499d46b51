"""What is said of result columns that were asked for and are none. Pure, but for the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.settings import Settings
    from batchrun.workbook import Form

NAMED = 5


def columns_of_the_list(form: Form | None, header: Sequence[str]) -> list[str]:
    """What to say before the question of names that are columns of the list.

    The result fields are not known before the first result; the list's columns are.
    """
    asked = () if form is None else (*(form.columns or ()), *form.rename)
    own = [name for name in dict.fromkeys(asked) if name in header]
    if not own:
        return []
    return [f"Note:      {_of_the_list(own)}"]


def _of_the_list(own: Sequence[str]) -> str:
    are = "is a column" if len(own) == 1 else "are columns"
    return (
        f"{', '.join(own[:NAMED])} {are} of the list, which all stay as they are; --columns and "
        "--rename choose among the results'"
    )


def unknown_to_results(batch_id: str, form: Form | None, settings: Settings) -> list[str]:
    """What to say of names that no result has, a line each.

    Args:
        batch_id: Which batch.
        form: What asks for them; ``None`` for how the batch's own workbook is written.
        settings: Which journal.
    """
    from batchrun import unknown_columns

    found = unknown_columns(batch_id, form, settings=settings)
    lines = []
    if own := [one.name for one in found if one.of_list]:
        lines.append(f"Note:      {_of_the_list(own)}")
    for one in [each for each in found if not each.of_list][:NAMED]:
        meant = f" Did you mean {one.close}?" if one.close else ""
        lines.append(f"Note:      No result has {one.name}.{meant}")
    return lines

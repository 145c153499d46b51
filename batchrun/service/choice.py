"""Find the workflow a user means. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from batchrun.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchrun.model import Workflow

ACTIVE = "active"

_ALIKE, _NEARLY, _OFFERED = 0.6, 0.1, 3
"""Likeness from 0 to 1: what is offered at least has, and how much less than the closest."""


def choose_workflow(workflows: Sequence[Workflow], wanted: str) -> Workflow:
    """The workflow of this id, or of this name in any case.

    Raises:
        WorkflowError: There is none (close matches are offered), several have the name, or it is
            not active.
    """
    name = " ".join(wanted.split()).casefold()
    found = [workflow for workflow in workflows if workflow.id == wanted] or [
        workflow for workflow in workflows if " ".join(workflow.name.split()).casefold() == name
    ]
    if not found:
        raise WorkflowError(f'There is no workflow "{wanted}".', _suggestion(workflows, name))
    active = [workflow for workflow in found if workflow.status.casefold() == ACTIVE]
    if not active:
        raise WorkflowError(
            f'The workflow "{found[0].name}" ({found[0].id}) is {found[0].status}, not active.',
            "Activate it in PG:AI, or choose another: batchrun workflows",
        )
    if len(active) > 1:
        ids = ", ".join(workflow.id for workflow in active)
        raise WorkflowError(
            f'{len(active)} workflows are called "{wanted}": {ids}.',
            "Name the one you mean by its id.",
        )
    return active[0]


def _closest(name: str, known: Iterable[str]) -> list[str]:
    """Those that are much like it and nearly as much as the most alike, the most alike first."""
    likeness = {each: SequenceMatcher(None, each.casefold(), name).ratio() for each in known}
    least = max(_ALIKE, max(likeness.values(), default=0.0) - _NEARLY)
    close = [each for each in sorted(likeness) if likeness[each] >= least]
    return sorted(close, key=lambda each: -likeness[each])[:_OFFERED]


def _suggestion(workflows: Sequence[Workflow], name: str) -> str:
    close = [f'"{match}"' for match in _closest(name, {each.name for each in workflows})]
    if close:
        return f"Did you mean {' or '.join(close)}? All of them: batchrun workflows"
    return "See which there are with: batchrun workflows"

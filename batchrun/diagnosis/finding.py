"""One thing that was looked at, and how it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from batchrun.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun.errors import BatchrunError


class Verdict(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        verdict: How it is.
        text: What was found; nothing of a key but its end, no password; its parameters marked.
        advice: What to do about it; ``""`` for nothing; its parameters marked.
        exit_code: How the command ends if it is a fault.
    """

    name: str
    verdict: Verdict
    text: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.UNUSABLE


def finding_of(name: str, error: BatchrunError) -> Finding:
    """The fault that an error tells."""
    return Finding(name, Verdict.FAULT, error.marked_what, error.marked_hint, error.exit_code)


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """How the command ends: by the gravest fault; warnings are none."""
    codes = {found.exit_code for found in findings if found.verdict is Verdict.FAULT}
    gravest = (ExitCode.KEY_REFUSED, ExitCode.PAUSED, ExitCode.UNUSABLE)
    return next((code for code in gravest if code in codes), ExitCode.COMPLETED)

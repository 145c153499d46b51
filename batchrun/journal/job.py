"""A job as the journal hands it out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.model import JSON


@dataclass(frozen=True, slots=True)
class Job:
    """One distinct trigger body.

    Attributes:
        number: Its number in the batch.
        body: The trigger body as JSON text.
        rows: How many rows of the input share it.
        execution_id: The service's id once it is accepted.
        triggered_at: When it was accepted, in Unix seconds.
        retried: How often it has been sent again.
    """

    number: int
    body: str
    rows: int
    execution_id: str | None = None
    triggered_at: float | None = None
    retried: int = 0

    def request(self) -> dict[str, JSON]:
        """The trigger body as values."""
        body: dict[str, JSON] = json.loads(self.body)
        return body

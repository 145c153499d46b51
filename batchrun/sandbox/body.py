"""Parse a trigger's body as strictly as the service might, to catch our own mistakes in tests."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from batchrun.model import JSON

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIELDS = frozenset({"workflow_id", "company_id", "contact_id", "parameters"})


class RefusedError(Exception):
    """The service rejects the request.

    Args:
        status: HTTP status of the response.
        text: Text for ``error`` in the response.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def read_trigger(content: bytes, content_type: str) -> dict[str, JSON]:
    """Parse and validate a trigger's body.

    Args:
        content: The raw body.
        content_type: The request's ``Content-Type``.

    Returns:
        The body. It follows the contract, and ``workflow_id`` is a non-empty string.

    Raises:
        RefusedError: The body is invalid (status 400).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(400, "Content-Type must be application/json")
    try:
        body: JSON = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "invalid JSON") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "the body must be a JSON object")
    _check(body)
    return body


def _check(body: dict[str, JSON]) -> None:
    workflow_id = body.get("workflow_id")
    if workflow_id is None or workflow_id == "":
        raise RefusedError(400, "workflow_id is required")
    if not isinstance(workflow_id, str):
        raise RefusedError(400, "workflow_id must be a string")
    for name in ("company_id", "contact_id"):
        if name in body and not _is_uuid(body[name]):
            raise RefusedError(400, f"{name} must be a UUID")
    if not isinstance(body.get("parameters", {}), dict):
        raise RefusedError(400, "parameters must be an object")
    if unknown := sorted(body.keys() - _FIELDS):
        raise RefusedError(400, f"unknown field: {unknown[0]}")


def _is_uuid(value: JSON) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate key")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _not_finite(digits)


def _not_finite(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a finite number")

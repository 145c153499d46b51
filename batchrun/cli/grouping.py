"""Options that several commands take together: written once, as the fields of a dataclass."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the fields of each of its groups as options of their own, in their place.

    A group is a parameter whose type is a dataclass; its fields are annotated as parameters of a
    command are, and have defaults.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def as_typed(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    parameters = [
        each
        for name, parameter in signature.parameters.items()
        for each in (_options(groups[name]) if name in groups else [parameter])
    ]
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    # What typer reads of a command: its signature, and its annotations.
    vars(as_typed)["__signature__"] = signature.replace(parameters=by_name)
    as_typed.__annotations__ = {each.name: each.annotation for each in by_name}
    return as_typed


def _options(group: type[Any]) -> Iterator[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    for each in fields(group):
        assert each.default is not MISSING
        yield inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=annotations[each.name],
        )

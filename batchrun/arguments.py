"""Check the arguments of the public functions: an error names the wrong one in one line."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from batchrun.errors import ArgumentError
from batchrun.model import InDoubt, Outcome
from batchrun.options import ReadingOptions
from batchrun.text import did_you_mean, one_line

P = ParamSpec("P")
T = TypeVar("T")

_TAKES_MORE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def checked_arguments(more: Iterable[str] = ()) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Check the arguments of a public function; ``more`` are the names of its ``**keywords``."""
    more = frozenset(more)

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        every = signature.parameters.values()
        named = {each.name for each in every if each.kind not in _TAKES_MORE} | more
        may_be_none = {*more, "batch_id", *(each.name for each in every if each.default is None)}
        name = f"batchrun.{getattr(function, '__qualname__', '')}"
        help_hint = f"See: help({name})"

        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            for each in sorted(kwargs.keys() - named):
                hint = f"{did_you_mean(each, named)}{help_hint}"
                raise ArgumentError(f"{name} has no parameter {each}.", hint)
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise ArgumentError(f"{name}: {error}.", help_hint) from None
            for each, value in {**given, **kwargs}.items():
                words, fits = _KINDS.get(each, ("", _is(object)))
                if not fits(value) and not (value is None and each in may_be_none):
                    shown = one_line(repr(value), 60)
                    raise ArgumentError(f"{name}: {each} is {words}, not {shown}.", help_hint)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def _is(*types: type[Any]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, types)


def _is_ours(name: str) -> Callable[[object], bool]:
    """Whether a value is of one of our classes, without importing the class."""
    return lambda value: any(each.__name__ == name for each in type(value).__mro__)


def _is_number_from(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_source(value: object) -> bool:
    frame = hasattr(value, "columns") and hasattr(value, "iloc")
    return frame or isinstance(value, (str, os.PathLike)) or _is_ours("Request")(value)


def _is_outcomes(value: object) -> bool:
    if not isinstance(value, Collection) or isinstance(value, str):
        return False
    return all(each in set(Outcome) for each in value)


_TEXT = _is(str)
_PATH = _is(str, os.PathLike)
_OF_OPTIONS = {
    "str | None": ("a text", _TEXT),
    "int | None": ("a whole number, from 1", _is_number_from(1)),
}
_KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    **{
        each.name: _OF_OPTIONS[each.type]
        for each in fields(ReadingOptions)
        if each.type in _OF_OPTIONS
    },
    "batch_id": ("the ID of a batch", _TEXT),
    "confirm": ("a function", callable),
    "control": ("a batchrun.Control", _is_ours("Control")),
    "form": ("a batchrun.Form, such as batchrun.Form(columns=['summary'])", _is_ours("Form")),
    "in_doubt": (
        "'hold', 'retry', 'drop' or a function",
        lambda value: callable(value) or value in set(InDoubt),
    ),
    "limit": ("a number of jobs", _is_number_from(0)),
    "name": ("the name of a list in the results, such as 'insights'", _TEXT),
    "older_than": ("a timedelta, such as datetime.timedelta(days=90)", _is(timedelta)),
    "on_progress": ("a function", callable),
    "outcomes": ("a list of outcomes, such as [batchrun.Outcome.FAILED]", _is_outcomes),
    "output": ("the path of a file", _PATH),
    "parameter_columns": ("a dict of names to columns, such as {'focus': 'Focus'}", _is(Mapping)),
    "parameters": ("a dict of names to values, such as {'depth': 'deep'}", _is(Mapping)),
    "reuse": ("a timedelta, such as datetime.timedelta(days=30)", _is(timedelta)),
    "settings": ("batchrun.Settings, such as batchrun.load_settings()", _is_ours("Settings")),
    "source": ("a path, a pandas.DataFrame or a batchrun.Request", _is_source),
    "workbook": (
        "the path of a results workbook or a batchrun.Rerun",
        lambda value: _PATH(value) or _is_ours("Rerun")(value),
    ),
    "workers": (
        "a number of processes, from 1, or a distributed.Client",
        lambda value: _is_number_from(1)(value) or _is_ours("Client")(value),
    ),
    "workflow": ("the name or ID of a workflow", _TEXT),
}
"""What a parameter of this name must be, in words, and the check for it."""

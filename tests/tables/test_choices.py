from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from batchrun.errors import OutputError, UsageError
from batchrun.model import Role
from batchrun.tables import Choices, from_frame, read_choices, save_choices
from tests.tables.files import UUID

if TYPE_CHECKING:
    from pathlib import Path


def test_choices_come_back_as_they_were_kept(tmp_path: Path) -> None:
    choices = Choices(
        sheet='Müller "2026"',
        header_row=3,
        visible_only=True,
        company_column="Ref\n\x7f",
        lenient_ids=True,
        parameter_columns={"focus area": "Schwer\\punkt"},
        header=("Ref", "", "Name"),
    )
    save_choices(tmp_path / "ours.toml", choices)
    assert read_choices(tmp_path / "ours.toml") == choices


def test_what_is_said_now_wins_over_what_was_kept() -> None:
    kept = Choices(sheet="A", company_column="Ref", parameter_columns={"x": "X", "y": "Y"})
    now = Choices(sheet="B", parameter_columns={"y": "Z"})
    both = kept.overridden_by(now)
    assert (both.sheet, both.company_column) == ("B", "Ref")
    assert both.parameter_columns == {"x": "X", "y": "Z"}


def test_a_found_column_is_kept_by_name_or_by_number_when_the_name_repeats() -> None:
    table = from_frame(pd.DataFrame([[UUID, UUID, UUID]], columns=["Ref", "Ref", "Contact ID"]))
    made = Choices().made(table, {Role.COMPANY: 1, Role.CONTACT: 2})
    assert (made.company_column, made.contact_column) == ("2", "Contact ID")
    assert made.header == ("Ref", "Ref", "Contact ID")


def test_another_shape_is_said() -> None:
    table = from_frame(pd.DataFrame([[UUID, "x"]], columns=["Ref", "Town"]))
    checked = Choices(header=("ref", "City")).check_shape(table)
    assert checked.source.notices == (
        "The columns differ from those of the mapping: missing City; new Town",
    )
    assert Choices(header=("REF", "Town ")).check_shape(table) is table


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sheet = ", "is not TOML"),
        ("colour = 1", "an entry colour"),
        ("header_row = true", "an entry header_row"),
        ("header = [1]", "an entry header"),
        (None, "can't be read"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "ours.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_choices(path)


def test_a_mapping_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        save_choices(tmp_path / "nowhere" / "ours.toml", Choices())

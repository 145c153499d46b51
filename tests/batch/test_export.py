"""The file is refreshed while a batch runs, and never after."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import pytest

from batchrun import workbook
from batchrun.batch.export import refreshed_workbook, remembered_form, write_results
from batchrun.batch.history import export
from batchrun.errors import JournalError, ServiceError
from batchrun.estimate import EstimateRates
from batchrun.journal import Journal
from batchrun.model import Role, Workflow
from batchrun.plan import Parameters, make_plan
from batchrun.settings.loading import load_settings
from batchrun.tables.frames import from_frame
from batchrun.workbook import Form
from tests.workbook.batches import company, table


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal.db"))


def new_batch(journal: Journal, *companies: int) -> str:
    ids = [company(number) for number in companies or (1,)]
    listed = from_frame(pd.DataFrame({"Company ID": ids}), "accounts.csv")
    workflow, roles = Workflow("wf_1", "Research"), {Role.COMPANY: 0}
    plan = make_plan(listed, workflow, roles, Parameters(), EstimateRates(60, 45))
    return journal.create(plan, "https://api.example.com/v1")


def test_what_there_is_can_be_opened_while_the_batch_runs(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, batch_id = tmp_path / "out.xlsx", new_batch(journal)
    write = workbook.write

    async def run() -> None:
        written, loop = asyncio.Event(), asyncio.get_running_loop()

        def noted(*arguments: object, **options: object) -> object:
            path = write(*arguments, **options)  # type: ignore[arg-type]  # as they were given
            loop.call_soon_threadsafe(written.set)
            return path

        monkeypatch.setattr(workbook, "write", noted)
        async with refreshed_workbook(journal, batch_id, target, Form(write_every_seconds=0.01)):
            await asyncio.wait_for(written.wait(), 60)
            assert [each["batchrun status"] for each in table(target)] == ["pending"]

    with journal:
        asyncio.run(run())


def test_a_workbook_held_open_is_left_alone_until_the_end(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, batch_id = tmp_path / "out.xlsx", new_batch(journal)
    replace = Path.replace

    async def run() -> None:
        tried, loop = asyncio.Event(), asyncio.get_running_loop()

        def refuse(self: Path, place: Path) -> Path:
            if place == target:
                if loop.is_running():
                    loop.call_soon_threadsafe(tried.set)
                raise PermissionError(13, "The process cannot access the file")
            return replace(self, place)

        monkeypatch.setattr(Path, "replace", refuse)
        async with refreshed_workbook(journal, batch_id, target, Form(write_every_seconds=0.01)):
            await asyncio.wait_for(tried.wait(), 60)

    with journal:
        write_results(journal, batch_id, target, Form())
        asyncio.run(run())
        assert [path.name for path in tmp_path.glob("*.xlsx")] == ["out.xlsx"]
        with journal.hold(batch_id):
            written = write_results(journal, batch_id, target, Form())
        assert written == tmp_path / "out (2).xlsx"


def test_a_workbook_that_stays_open_does_not_get_a_new_file_at_each_write(
    journal: Journal, tmp_path: Path
) -> None:
    """Such as when LibreOffice crashed and left its lock file behind."""
    target, batch_id = tmp_path / "out.xlsx", new_batch(journal)
    another, note = new_batch(journal, 2), tmp_path / ".~lock.out.xlsx#"
    settings = load_settings(journal=str(tmp_path / "journal.db"))
    with journal, journal.hold(batch_id), journal.hold(another):
        write_results(journal, batch_id, target, Form())
        write_results(journal, another, tmp_path / "out (2).xlsx", Form())
        note.touch()
        for _ in range(3):
            assert write_results(journal, batch_id, target, Form()) == tmp_path / "out (3).xlsx"
            assert export(batch_id, target, settings) == tmp_path / "out (3).xlsx"
        note.unlink()
        assert write_results(journal, batch_id, target, Form()) == target
    assert len([*tmp_path.glob("*.xlsx")]) == 3


def test_the_parts_of_a_workbook_stay_together_if_one_of_them_is_open(
    journal: Journal, tmp_path: Path
) -> None:
    batch_id = new_batch(journal, 1, 2)
    with journal, journal.hold(batch_id):
        for note, name in ((".~lock.out.part2.xlsx#", "out.xlsx"), ("none", "out (2).xlsx")):
            form = Form(rows_per_file=1)
            written = write_results(journal, batch_id, tmp_path / "out.xlsx", form)
            assert written == tmp_path / name
            assert workbook.other_parts(written) == (written.with_suffix(".part2.xlsx"),)
            (tmp_path / note).touch()
    assert len([*tmp_path.glob("*.xlsx")]) == 4


@pytest.mark.parametrize("fault", [JournalError("It is locked."), OSError(28, "No space left")])
def test_a_refresh_that_fails_ends_neither_the_next_nor_the_run(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    target, batch_id = tmp_path / "out.xlsx", new_batch(journal)
    read, asked = journal.results, asyncio.Event()
    failures = [fault]

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def results(batch_id: str) -> object:
            if failures:
                raise failures.pop()
            loop.call_soon_threadsafe(asked.set)
            return read(batch_id)

        monkeypatch.setattr(journal, "results", results)
        async with refreshed_workbook(journal, batch_id, target, Form(write_every_seconds=0.01)):
            await asyncio.wait_for(asked.wait(), 60)

    with journal:
        asyncio.run(run())
    assert [each["batchrun status"] for each in table(target)] == ["pending"]


def test_a_run_ends_as_it_ended_although_its_refresh_failed(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, batch_id = tmp_path / "out.xlsx", new_batch(journal)

    async def run() -> None:
        failed, loop = asyncio.Event(), asyncio.get_running_loop()

        def results(_batch_id: str) -> object:
            loop.call_soon_threadsafe(failed.set)
            raise JournalError("It is locked.")

        monkeypatch.setattr(journal, "results", results)
        async with refreshed_workbook(journal, batch_id, target, Form(write_every_seconds=0.01)):
            await asyncio.wait_for(failed.wait(), 60)
            raise ServiceError("The service is away.")

    with journal, pytest.raises(ServiceError):
        asyncio.run(run())


def test_nothing_is_written_meanwhile_unless_it_is_wanted(journal: Journal, tmp_path: Path) -> None:
    async def run() -> None:
        async with refreshed_workbook(journal, new_batch(journal), tmp_path / "out.xlsx", Form()):
            assert len(asyncio.all_tasks()) == 1

    with journal:
        asyncio.run(run())


def test_results_that_cannot_be_laid_out_are_written_as_json_lines(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise KeyError("a fault nobody foresaw")

    monkeypatch.setattr(workbook, "write_csv", fail)
    batch_id = new_batch(journal)
    with journal.hold(batch_id):
        written = write_results(journal, batch_id, tmp_path / "out.csv", Form())
    assert written == tmp_path / "out.jsonl"
    assert len(written.read_text(encoding="utf-8").splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()


def test_an_export_is_split_as_the_batch_was_run(journal: Journal, tmp_path: Path) -> None:
    with journal:
        listed = from_frame(pd.DataFrame({"Company ID": map(company, range(5))}), "accounts.csv")
        workflow, roles = Workflow("wf_1", "Research"), {Role.COMPANY: 0}
        plan = make_plan(listed, workflow, roles, Parameters(), EstimateRates(60, 45))
        batch_id = journal.create(plan, "https://api.example.com/v1")
        with journal.hold(batch_id):
            remembered_form(journal, batch_id, Form(rows_per_file=2))
    settings = load_settings(journal=str(tmp_path / "journal.db"))

    export(batch_id, tmp_path / "as_run.xlsx", settings)
    export(batch_id, tmp_path / "asked.xlsx", settings, Form(rows_per_file=4))

    names = sorted(path.name for path in tmp_path.glob("*.xlsx"))
    assert names == [
        "as_run.part2.xlsx", "as_run.part3.xlsx", "as_run.xlsx", "asked.part2.xlsx", "asked.xlsx",
    ]  # fmt: skip

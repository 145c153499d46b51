"""A batch from end to end, where money is at stake: what is triggered, and how often."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from batchrun import aio
from batchrun.batch import history
from batchrun.batch.pipeline import refuses_again
from batchrun.batch.request import Request
from batchrun.errors import ExitCode, InputError, OutputError, TakenOverError, UsageError
from batchrun.journal import lease
from batchrun.model import Outcome
from batchrun.settings.loading import load_settings
from tests.engine.faults import SPEED, Fault, FaultySandbox, faulty_sandbox
from tests.workbook.batches import batch, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.engine.progress import Progress
    from batchrun.model import BatchSummary
    from batchrun.plan import Plan
    from batchrun.settings.model import Settings

WORKFLOW = "Account Research"


def company(number: int) -> str:
    return f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}"


def listed(path: Path, *numbers: int) -> Path:
    """A list of these companies."""
    path.write_text("\n".join(["Company ID", *map(company, numbers)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    return listed(tmp_path / "accounts.csv", 1, 2)


@pytest.fixture
def service() -> Iterator[tuple[str, FaultySandbox]]:
    with faulty_sandbox() as running:
        yield running


def settings_for(url: str, folder: Path, key: str = "sandbox") -> Settings:
    journal = str(folder / "journal.db")
    return load_settings(api_key=key, base_url=url, journal=journal, speed=SPEED)


@pytest.mark.parametrize("again", [False, True])
def test_a_list_that_somebody_started_during_the_question_is_not_started_twice(
    service: tuple[str, FaultySandbox], accounts: Path, again: bool
) -> None:
    url, sandbox = service
    settings, request = settings_for(url, accounts.parent), Request(accounts, WORKFLOW)
    if again:
        assert asyncio.run(aio.run(request, settings=settings)) is not None
    paid = len(sandbox.bodies())

    def meanwhile(plan: Plan, earlier: BatchSummary | None) -> bool:
        del plan, earlier
        other = Thread(target=lambda: asyncio.run(aio.run(request, settings=settings, again=again)))
        other.start()
        other.join()
        return True

    with pytest.raises(UsageError, match=r"in the meantime as batch \d{4}-accounts") as refused:
        asyncio.run(aio.run(request, settings=settings, again=again, confirm=meanwhile))

    assert "batchrun resume" in refused.value.hint
    assert len(sandbox.bodies()) == paid + 2


@pytest.mark.parametrize("spelling", ["{url}/", "{upper}"])
def test_another_spelling_of_the_address_is_the_same_service(
    service: tuple[str, FaultySandbox], accounts: Path, spelling: str
) -> None:
    url, sandbox = service
    url = url.replace("127.0.0.1", "localhost")
    request = Request(accounts, WORKFLOW)
    asyncio.run(aio.run(request, settings=settings_for(url, accounts.parent)))
    other = spelling.format(url=url, upper=url.replace("localhost", "LocalHost"))
    with pytest.raises(UsageError, match="already"):
        asyncio.run(aio.run(request, settings=settings_for(other, accounts.parent)))
    assert len(sandbox.bodies()) == 2


def test_a_batch_begun_under_another_spelling_of_the_address_is_found(
    service: tuple[str, FaultySandbox], accounts: Path
) -> None:
    url, sandbox = service
    settings, request = settings_for(url, accounts.parent), Request(accounts, WORKFLOW)
    asyncio.run(aio.run(request, settings=settings))
    with sqlite3.connect(settings.journal) as journal:  # as batchrun 0.1 has kept it
        journal.execute("UPDATE batches SET base_url = base_url || '/'")
    journal.close()
    with pytest.raises(UsageError, match="already"):
        asyncio.run(aio.run(request, settings=settings))
    assert len(sandbox.bodies()) == 2


def test_a_batch_does_not_go_on_at_another_service(
    service: tuple[str, FaultySandbox], accounts: Path
) -> None:
    url, _ = service
    asyncio.run(
        aio.run(Request(accounts, WORKFLOW), settings=settings_for(url, accounts.parent), limit=1)
    )
    with faulty_sandbox() as (elsewhere, other):
        settings = settings_for(elsewhere, accounts.parent)
        with pytest.raises(UsageError, match="belongs to") as refused:
            asyncio.run(aio.resume(None, settings=settings))
        assert url in refused.value.what
        assert elsewhere in refused.value.what
        assert "--sandbox" in refused.value.hint
        assert other.bodies() == []


@pytest.mark.parametrize(("limit", "code"), [(None, ExitCode.INCOMPLETE), (1, ExitCode.PAUSED)])
def test_a_folder_that_vanishes_does_not_end_as_if_nothing_was_triggered(
    service: tuple[str, FaultySandbox], accounts: Path, limit: int | None, code: ExitCode
) -> None:
    url, sandbox = service
    folder = accounts.parent / "out"
    folder.mkdir()

    def vanish(progress: Progress) -> None:
        del progress
        shutil.rmtree(folder, ignore_errors=True)

    run = aio.run(
        Request(accounts, WORKFLOW),
        settings=settings_for(url, accounts.parent),
        output=folder / "out.xlsx",
        limit=limit,
        on_progress=vanish,
    )
    with pytest.raises(OutputError) as raised:
        asyncio.run(run)
    assert raised.value.exit_code == code
    assert "safe in the journal" in raised.value.hint
    assert len(sandbox.bodies()) == (limit or 2)


def test_a_batch_that_was_taken_over_is_left_as_it_is(
    accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to trigger here: it is the heartbeat that finds out."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.001)
    taken = threading.Event()

    def take_it(progress: Progress) -> None:
        if progress.in_flight < 2 or taken.is_set():
            return
        with closing(sqlite3.connect(accounts.with_name("journal.db"))) as journal, journal:
            journal.execute("UPDATE leases SET holder = 'x', pid = 4711")
            journal.execute("UPDATE batches SET note = 'of the new holder'")
        taken.set()

    with faulty_sandbox(polls=[Fault(404)] * 1_000) as (url, sandbox):
        settings = settings_for(url, accounts.parent)
        run = aio.run(Request(accounts, WORKFLOW), settings=settings, on_progress=take_it)
        with pytest.raises(TakenOverError, match="process 4711") as told:
            asyncio.run(run)
        assert len(sandbox.bodies()) == 2
    assert told.value.exit_code is ExitCode.PAUSED
    assert not accounts.with_name("accounts.results.xlsx").exists()
    [summary] = history.batches(settings=settings)
    assert summary.note == "of the new holder"
    assert summary.counts[Outcome.PENDING] == 2
    assert summary.output is None


def test_results_are_not_reused_in_secret_where_a_batch_of_the_list_has_begun(
    service: tuple[str, FaultySandbox], accounts: Path
) -> None:
    url, sandbox = service
    settings = settings_for(url, accounts.parent)
    asyncio.run(aio.run(Request(accounts, WORKFLOW), settings=settings))
    longer = listed(accounts.with_name("longer.csv"), 1, 2, 3)
    asyncio.run(aio.run(Request(longer, WORKFLOW), settings=settings, limit=1))
    reusing = Request(longer, WORKFLOW, reuse=timedelta(days=30))
    for what in (aio.run, aio.check):
        with pytest.raises(UsageError, match="only a new batch can reuse") as refused:
            asyncio.run(what(reusing, settings=settings))
        assert re.search(r"you pay for that\. .*batchrun resume \S+$", refused.value.hint)
        assert "forget" not in refused.value.hint  # its jobs would be paid for twice
    assert len(sandbox.bodies()) == 3


def test_reusing_and_triggering_all_again_exclude_each_other(
    service: tuple[str, FaultySandbox], accounts: Path
) -> None:
    url, sandbox = service
    request = Request(accounts, WORKFLOW, reuse=timedelta(days=30))
    with pytest.raises(UsageError, match="can't be combined"):
        asyncio.run(aio.run(request, settings=settings_for(url, accounts.parent), again=True))
    assert sandbox.bodies() == []


def test_a_list_with_nothing_to_send_becomes_no_batch(
    tmp_path: Path, service: tuple[str, FaultySandbox]
) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("Company ID\n0015g00000XyZabAAB\n", encoding="utf-8")
    settings = settings_for(service[0], tmp_path)
    with pytest.raises(InputError, match=r"can be sent \(1 row\)"):
        asyncio.run(aio.run(Request(path, WORKFLOW), settings=settings))
    assert history.batches(settings=settings) == []


@pytest.mark.parametrize(
    ("outcome", "days", "refused"),
    [
        (Outcome.COMPLETED, None, True),
        (Outcome.COMPLETED, 30, False),
        (Outcome.FAILED, 30, False),
        (Outcome.IN_DOUBT, 30, True),  # reuse has no result for it: it could be sent twice
    ],
)
def test_a_list_that_went_through_runs_again_only_if_no_row_could_be_paid_for_twice(
    outcome: Outcome, days: int | None, refused: bool
) -> None:
    earlier = batch([row(0, None, outcome)]).summary
    reuse = timedelta(days=days) if days else None
    assert refuses_again(earlier, Request("accounts.csv", WORKFLOW, reuse=reuse)) is refused

"""A failure as a file for support: where it failed, and no secret."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.errors import write_failure
from batchrun.settings.loading import load_settings
from batchrun.text import MASK, masked
from tests.cli.conftest import ACME

if TYPE_CHECKING:
    from batchrun.model import Workflow
    from tests.cli.commands import CommandLine

KEY = "typed-key-4711"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the key is abcd-12345", f"the key is {MASK}"),
        ("postgresql://ann:pass@db/batchrun", f"postgresql://{MASK}db/batchrun"),
        ("postgresql://u:p w@h/d is gone", f"postgresql://{MASK}h/d is gone"),
        ("postgresql://u:it's@1@h/d", f"postgresql://{MASK}h/d"),
        ("host=h password = 'my pass \\' word' port=1", f"host=h password = {MASK} port=1"),
        ('connect(password="my pass word", user=u)', f"connect(password={MASK}, user=u)"),
        ("{'password': 'my pass word', 'user': 'u'}", f"{{'password': {MASK}, 'user': 'u'}}"),
        ("host=h password=pass port=1", f"host=h password={MASK} port=1"),
        ("db?sslpassword=ab#c d&x=1", f"db?sslpassword={MASK}&x=1"),
        ("x-api-key: zzz", f"x-api-key: {MASK}"),
        ("{'x-api-key': 'zzz'}", f"{{'x-api-key': {MASK}"),
        ("Authorization: Bearer zzz", f"Authorization: {MASK}"),
        ("sent Bearer zzz, said no", f"sent Bearer {MASK}, said no"),
        ("Illegal header value b'zzz'", f"Illegal header value {MASK}"),
        ("line 7: no company id", "line 7: no company id"),
    ],
)
def test_secrets_are_masked_by_what_they_are_and_where_they_stand(text: str, shown: str) -> None:
    assert masked(text, ["abcd-12345", "no"]) == shown


def failing_with(key: str) -> None:
    settings = load_settings(api_key=key)
    assert settings.api_key is not None
    raise ExceptionGroup("several", [ValueError(f"not {key}"), TypeError(key)])


def test_a_typed_key_is_masked_everywhere(folder: Path) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        failing_with(KEY)
    path = write_failure(raised.value, [f"a warning of {KEY}"], "run")
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "in failing_with" in text
    assert KEY not in text
    assert text.count(MASK) >= 3


def test_details_go_elsewhere_if_their_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    path = write_failure(ValueError("a defect"), [], "run")
    assert "a defect" in path.read_text(encoding="utf-8")
    path.unlink()


def test_the_path_of_the_details_is_shown(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGAI_API_KEY", KEY)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"a defect near {KEY}")

    monkeypatch.setattr("batchrun.aio.open_session", broken)
    for arguments in (["workflows", "--debug"], ["--debug", "workflows"]):
        ended = batchrun(*arguments)
        assert ended.exit_code == 1
        path = Path(ended.stderr.split("Details:   ")[1].strip())
        text = path.read_text(encoding="utf-8")
        assert "in broken" in text
        assert f"a defect near {MASK}" in text
        assert "Traceback" not in ended.stderr
    ended = batchrun("workflows")
    assert KEY not in ended.stderr
    assert "--debug" in ended.stderr
    assert "Details" not in ended.stderr


@pytest.mark.parametrize("logged", [False, True])
def test_neither_log_nor_details_have_the_services_words_or_a_key_typed_as_an_argument(
    batchrun: CommandLine, sandbox: str, accounts: Path, logged: bool
) -> None:
    def broken(workflows: list[Workflow], name: str) -> None:
        raise RuntimeError(f"no {name} among {[each.name for each in workflows]}")

    batchrun.monkeypatch.setattr("batchrun.batch.pipeline.choose_workflow", broken)
    typed = ["--debug", "run", accounts.name, "-w", KEY, "--param", f"key={KEY}", "--yes"]
    ended = batchrun(*typed, *(["--log-file", "log.jsonl"] if logged else []))
    path = Path(ended.stderr.split("Details:   ")[1].strip())
    text = path.read_text(encoding="utf-8")
    assert "in broken" in text
    if logged:
        text += (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")
        assert '"event"' in text
    for literal in (KEY, "Account Research", ACME, "Acme"):
        assert literal not in text, literal


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_the_folder_of_logs_is_its_owners_only(folder: Path, before: int | None) -> None:
    if before is not None:
        (folder / "batchrun" / "log").mkdir(parents=True)
        (folder / "batchrun" / "log").chmod(before)
    umask = os.umask(0)
    try:
        path = write_failure(ValueError("a defect"), [], "run")
    finally:
        os.umask(umask)
    assert path.parent == folder / "batchrun" / "log"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_python_warnings_go_to_the_details_file(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy(*_: object, **__: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a library is getting old", stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        logging.getLogger("asyncio").error("Task exception was never retrieved")
        raise RuntimeError("a defect")

    monkeypatch.setattr("batchrun.aio.open_session", noisy)
    monkeypatch.setenv("PGAI_API_KEY", "pgai_key_of_a_test")
    ended = batchrun("--debug", "workflows")
    text = Path(ended.stderr.split("Details:   ")[1].strip()).read_text(encoding="utf-8")
    for words in ("getting old", "division by zero", "never retrieved"):
        assert words not in ended.stderr
        assert words in text


def test_a_failure_inside_a_task_group_is_described(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def grouped(*_: object, **__: object) -> None:
        async def broken() -> None:
            raise RuntimeError("deep inside")

        async with asyncio.TaskGroup() as group:
            group.create_task(broken())

    monkeypatch.setenv("PGAI_API_KEY", KEY)
    monkeypatch.setattr("batchrun.engine.session.Session.workflows", grouped)
    ended = batchrun("workflows", "--debug")
    text = Path(ended.stderr.split("Details:   ")[1].strip()).read_text(encoding="utf-8")
    assert ended.exit_code == 1
    assert "in broken" in text
    assert len(ended.stderr.splitlines()) == 3
    assert sys.excepthook is sys.__excepthook__

"""The credits: told where they can be, and never a reason to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from batchrun.engine.quota import DEFAULT_RATE
from batchrun.engine.session import open_session
from batchrun.journal import Journal
from batchrun.sandbox import SandboxSettings, running
from batchrun.service.answers import Credits
from batchrun.service.client import Client
from batchrun.service.parsing import QuotaReading
from batchrun.settings.loading import load_settings

from .calls import KEY, unused_port
from .misbehaving import Behaviour, ScriptedServer, answering, reset_after_request

if TYPE_CHECKING:
    from pathlib import Path


def told_by(behaviour: Behaviour) -> Credits:
    async def ask(url: str) -> Credits:
        async with Client(KEY, url, timeout_seconds=60) as client:
            return await client.credits()

    with ScriptedServer(behaviour) as server:
        told = asyncio.run(ask(server.url))
        assert server.requests[0].startswith(b"GET /v1/organization/credits ")
        return told


@pytest.mark.parametrize(
    "body",
    [
        {"credit_remaining": {"research": 12, "email": 0.5}},
        {"data": {"credit_remaining": {"research": 12, "email": 0.5}}},
        {"credit_remaining": {"research": 12, "email": 0.5, "plan": "pro", "open": True}},
    ],
)
def test_credits_are_read_by_name_and_what_is_no_number_is_left_out(body: object) -> None:
    told = told_by(answering("200 OK", body, [("X-RateLimit-Remaining", "59")]))
    assert told.remaining == {"research": 12, "email": 0.5}
    assert told.quota == QuotaReading(remaining=59)


def test_a_name_that_repeats_the_key_does_not() -> None:
    told = told_by(answering("200 OK", {"credit_remaining": {f"of {KEY}": 1}}))
    assert told.remaining == {"of [key]": 1}


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_key_that_may_not_read_them_is_told_apart(status: str) -> None:
    told = told_by(answering(status, {"error": "no"}))
    assert told.remaining is None
    assert told.refused


@pytest.mark.parametrize(
    "behaviour",
    [
        answering("404 Not Found", {"error": "no such path"}),
        answering("429 Too Many Requests", {"error": "slow down"}),
        answering("500 Internal Server Error", b"<html>"),
        answering("302 Found", b"", [("Location", "https://else.example/")]),
        answering("200 OK", b"<html><title>Log in</title>"),
        answering("200 OK", {"credit_remaining": {}}),
        answering("200 OK", {"credit_remaining": {"research": "many"}}),
        answering("200 OK", {"credit_remaining": {"research": 10**400}}),
        answering("200 OK", {"credit_remaining": 12}),
        answering("200 OK", [1]),
        answering("200 OK", None),
        reset_after_request,
    ],
)
def test_whatever_else_comes_back_nothing_is_known_and_nothing_breaks(
    behaviour: Behaviour,
) -> None:
    told = told_by(behaviour)
    assert told.remaining is None
    assert not told.refused


def test_a_service_that_is_away_tells_nothing() -> None:
    async def ask() -> Credits:
        with unused_port() as port:
            async with Client(KEY, f"http://127.0.0.1:{port}/v1") as client:
                return await client.credits()

    assert asyncio.run(ask()) == Credits()


def test_the_question_counts_in_the_quota_and_for_the_day(tmp_path: Path) -> None:
    async def ask(url: str) -> tuple[Credits | None, float]:
        settings = load_settings(
            api_key="sandbox", base_url=url, journal=str(tmp_path / "journal.db"), rate=DEFAULT_RATE
        )
        async with open_session(settings) as session:
            told = await session.credits()
            return told, session.quota.window_left(session.clock.now())

    with running(SandboxSettings(credits=7)) as url:
        told, left = asyncio.run(ask(url))
    assert told is not None
    assert told.remaining == {"credits": 7}
    assert left == DEFAULT_RATE - 1
    with Journal(str(tmp_path / "journal.db")) as journal:
        spent = journal.ledger("sandbox").reserve(0, 0.0, 0.0).requests_today
    assert spent == 1


def test_a_spent_day_is_not_overdrawn_for_it(tmp_path: Path) -> None:
    async def ask_twice(url: str) -> list[Credits | None]:
        settings = load_settings(
            api_key="sandbox", base_url=url, journal=str(tmp_path / "journal.db"), daily=1
        )
        async with open_session(settings) as session:
            return [await session.credits(), await session.credits()]

    with running() as url:
        first, second = asyncio.run(ask_twice(url))
    assert first is not None
    assert second is None

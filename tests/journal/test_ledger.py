"""The ledger: processes with the same key take turns, and a dead one leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from batchrun.journal import Journal, QuotaLedger

NOW = 1_790_000_000.0


def first_turns(ledger: QuotaLedger, number: int, spacing: float = 1.0) -> list[float]:
    return [ledger.reserve(1, spacing, NOW).first_at for _ in range(number)]


def test_turns_are_a_spacing_apart(journal: Journal) -> None:
    turns = first_turns(journal.ledger("key"), 3, spacing=1.01)
    assert turns == pytest.approx([NOW, NOW + 1.01, NOW + 2.02])


def test_two_that_opened_one_journal_never_get_the_same_turn(location: str) -> None:
    with Journal(location) as one, Journal(location) as other, ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(first_turns, [one.ledger("key"), other.ledger("key")], [30, 30]))
    assert sorted(taken[0] + taken[1]) == pytest.approx([NOW + i for i in range(60)])


def test_keys_have_turns_of_their_own(journal: Journal) -> None:
    assert first_turns(journal.ledger("key"), 5)[-1] == NOW + 4
    assert first_turns(journal.ledger("another key"), 1) == [NOW]


def test_what_a_dead_process_did_not_use_is_not_waited_for(journal: Journal) -> None:
    journal.ledger("key").reserve(10, 1.0, NOW)
    assert journal.ledger("key").reserve(1, 1.0, NOW + 500).first_at == NOW + 500


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_machines_clock_that_jumped_does_not_stop_the_turns(
    journal: Journal, jump: float
) -> None:
    journal.ledger("key").reserve(1, 1.0, NOW)
    assert journal.ledger("key").reserve(1, 1.0, NOW + jump).first_at == NOW + jump


def test_a_refusal_holds_everybodys_turns(journal: Journal) -> None:
    ledger = journal.ledger("key")
    ledger.hold(30, NOW)
    assert first_turns(journal.ledger("key"), 1) == [NOW + 30]
    ledger.hold(5, NOW)  # a shorter one does not shorten it
    assert first_turns(journal.ledger("key"), 1) == [NOW + 31]


def test_a_request_that_belongs_to_no_batch_is_counted_for_the_day(journal: Journal) -> None:
    journal.ledger("key").count()
    journal.ledger("key").count()
    assert journal.ledger("key").reserve(0, 0.0, NOW).requests_today == 2


def test_how_long_executions_ran_is_known_to_the_next_batch(journal: Journal) -> None:
    assert journal.run_seconds("wf_none", "http://127.0.0.1/v1", limit=10) == []

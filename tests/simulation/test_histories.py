"""Some histories of a bad world, in which every promise holds; scripts/simulate runs as many as there is time for."""

from __future__ import annotations

import pytest

from tests.simulation.choices import Choices
from tests.simulation.histories import LEAST_STEPS, Histories, Outcome
from tests.simulation.mutants import MUTANTS, unchanged
from tests.simulation.shrinking import kind_of, shrink

CHUNK, CHUNKS = 30, 4
MOST = 200  # histories until a mutant is noticed


@pytest.fixture(scope="module")
def histories() -> Histories:
    return Histories()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_promise_is_broken(histories: Histories, chunk: int) -> None:
    seeds = range(chunk * CHUNK, (chunk + 1) * CHUNK)
    outcomes = {seed: histories.run(Choices(seed)) for seed in seeds}
    assert {seed: one.violation for seed, one in outcomes.items() if one.violation} == {}
    assert min(one.steps for one in outcomes.values()) > LEAST_STEPS


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.long
def test_a_guard_that_is_taken_away_is_noticed(histories: Histories, name: str) -> None:
    guard = MUTANTS[name]
    outcomes = (histories.run(Choices(seed), guard.change, focus=guard.focus) for seed in range(MOST))
    assert any(outcome.violation for outcome in outcomes)  # mostly one of the first five


def test_a_seed_gives_the_same_history_each_time(histories: Histories) -> None:
    def lines(of: Histories) -> Outcome:
        return of.run(Choices(11), tracing=True)

    first = lines(histories)
    assert lines(histories) == first == lines(Histories())
    assert histories.run(Choices(None, first.choices), tracing=True).lines[:100] == first.lines[:100]


def test_a_failing_history_is_shortened_and_fails_in_the_same_way(histories: Histories) -> None:
    guard = MUTANTS["last come, first served"]
    runs = (histories.run(Choices(seed), guard.change) for seed in range(MOST))
    found = next(outcome for outcome in runs if outcome.violation)
    short = shrink(histories, found, guard.change, most_runs=40)
    again = histories.run(Choices(None, short), guard.change)
    assert len(short) < len(found.choices) / 2
    assert kind_of(again.violation or "") == kind_of(found.violation or "") != ""


def test_zeros_give_a_calm_history(histories: Histories) -> None:
    assert histories.run(Choices(None, [0] * 400), unchanged).violation is None

"""Repeating: with growing waits, as long as the server asks, apart from each other, and not for ever."""

from __future__ import annotations

import pytest

from mitorch_service.errors import StoreError, StoreUnavailable
from mitorch_service.stores.patience import backoff, persistently, repeatedly


class Away:
    """A call that fails so often."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self) -> str:
        self.times -= 1
        if self.times >= 0:
            raise StoreUnavailable("here", "is away", "Wait.")
        return "done"


def test_the_waits_grow_to_a_bound_and_differ() -> None:
    for failures in range(12):
        longest = min(30.0, 0.2 * 2**failures)
        drawn = [backoff(failures) for _ in range(20)]
        assert longest / 2 <= min(drawn) < max(drawn) <= longest


def test_it_is_repeated_until_it_succeeds(waits: list[float]) -> None:
    assert persistently(Away(5), 600) == "done"
    assert len(waits) == 5
    assert waits == sorted(waits)


def test_the_patience_ends(waits: list[float]) -> None:
    with pytest.raises(StoreUnavailable):
        persistently(Away(1000), 60)
    assert 20 < sum(waits) <= 60


def test_the_server_is_given_the_time_that_it_asks_for(waits: list[float]) -> None:
    assert repeatedly(Away(2), lambda error: 7.5, 60) == "done"
    assert waits == [7.5, 7.5]


def test_who_is_asked_to_wait_longer_than_he_may_gives_up_at_once(waits: list[float]) -> None:
    with pytest.raises(StoreUnavailable):
        repeatedly(Away(1), lambda error: 61.0, 60)
    assert waits == []


def test_what_stays_is_raised_at_once(waits: list[float]) -> None:
    def refused() -> None:
        raise StoreError("here", "refuses", "See the doctor.")

    with pytest.raises(StoreError):
        persistently(refused, 60)
    assert waits == []

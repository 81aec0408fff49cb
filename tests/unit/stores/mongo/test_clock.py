"""The clock of the database: the same for all, whatever the clocks of the machines say."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import errors

from mitorch_service.stores.mongo.clock import ServerClock

SOON = timedelta(seconds=0.5)


class Server:
    """A server whose clock is this far ahead; None: it tells no time."""

    def __init__(self, ahead: timedelta | None) -> None:
        self.ahead = ahead
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return {} if self.ahead is None else {"localTime": datetime.now(UTC) + self.ahead}


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(minutes=-7), timedelta(seconds=5)])
def test_a_clock_that_differs_is_corrected(ahead: timedelta) -> None:
    server = Server(ahead)
    clock = ServerClock(server)
    for _ in range(3):
        assert abs(clock.now() - datetime.now(UTC) - ahead) < SOON
    assert server.asked == 1


@pytest.mark.parametrize("ahead", [timedelta(seconds=0.4), timedelta(0), None])
def test_a_small_difference_or_none_is_this_machines_clock(ahead: timedelta | None) -> None:
    clock = ServerClock(Server(ahead))
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


def test_only_the_first_question_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training asks for the time at the end of each epoch, and its database may hang."""
    monkeypatch.setattr("mitorch_service.stores.mongo.clock._EVERY_SECONDS", 0.0)
    server, over = Server(timedelta(hours=1)), threading.Event()
    clock = ServerClock(server)
    clock.now()

    def hangs() -> dict[str, Any]:
        assert over.wait(20)
        return Server(timedelta(hours=2))()

    clock._hello = hangs
    for _ in range(3):
        assert abs(clock.now() - datetime.now(UTC) - timedelta(hours=1)) < SOON
    over.set()
    end = time.monotonic() + 20
    while abs(clock.now() - datetime.now(UTC) - timedelta(hours=2)) > SOON:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_server_that_does_not_answer_stops_no_clock() -> None:
    def away() -> dict[str, Any]:
        raise errors.ServerSelectionTimeoutError("no answer")

    assert abs(ServerClock(away).now() - datetime.now(UTC)) < SOON

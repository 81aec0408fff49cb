"""Signs of life of a script, and their absence."""

from __future__ import annotations

import threading

import pytest

from mitorch_service.runs.script.channel import Message
from mitorch_service.runs.silence import MAX_SILENCE, Silence


class Clock:
    """Goes on by what is asked of it, half a second at a time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wait(self, silence: Silence, seconds: float) -> bool:
        """Whether the silence was ever too long meanwhile."""
        asked = []
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            asked.append(silence.is_too_long())
        return any(asked)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_with_a_limit_output_and_calls_count(clock: Clock) -> None:
    silence = Silence(10, lambda: clock.now)
    silence.begin(lambda: clock.now)  # it computes all the time
    assert not clock.wait(silence, 9)
    silence.heard()
    assert not clock.wait(silence, 9)
    silence.around(lambda message: message)({})
    assert not clock.wait(silence, 9)
    assert clock.wait(silence, 2)


def test_a_call_that_takes_long_is_no_silence(clock: Clock) -> None:
    silence = Silence(10, lambda: clock.now)
    silence.begin(lambda: 0.0)
    asked, answered = threading.Event(), threading.Event()

    def answer(message: Message) -> Message:
        asked.set()
        answered.wait(20)
        return message

    thread = threading.Thread(target=silence.around(answer), args=({},))
    thread.start()
    assert asked.wait(20)
    assert not clock.wait(silence, 100)
    answered.set()
    thread.join()
    assert clock.wait(silence, 11)


def test_without_a_limit_computing_counts_too(clock: Clock) -> None:
    silence = Silence(None, lambda: clock.now)
    used = 0.0
    silence.begin(lambda: used)
    for _ in range(5):
        used += 0.01
        assert not clock.wait(silence, MAX_SILENCE - 300)
    assert clock.wait(silence, MAX_SILENCE + 1)


def test_time_in_which_the_run_was_stopped_does_not_count(clock: Clock) -> None:
    silence = Silence(10, lambda: clock.now)
    silence.begin(lambda: 0.0)
    clock.now += 5000
    assert not clock.wait(silence, 8)

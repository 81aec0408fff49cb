"""Several clusters are asked at the same time."""

from __future__ import annotations

import threading

from mitorch_service.controller.parallel_calls import call_all
from mitorch_service.errors import BackendError, BackendUnavailable


def test_every_answer_and_every_error_comes_back_in_order() -> None:
    down = BackendError("b", "down", "Wait.")

    def fails() -> int:
        raise down

    answers = call_all({"c": lambda: 1, "b": fails, "a": lambda: 3}, seconds=10)
    assert list(answers.items()) == [("c", 1), ("b", down), ("a", 3)]
    assert call_all({"b": fails}, seconds=10) == {"b": down}
    assert call_all({}, seconds=10) == {}


def test_they_are_asked_at_the_same_time() -> None:
    meeting = threading.Barrier(3)
    answers = call_all({name: lambda: meeting.wait(timeout=10) for name in "abc"}, seconds=20)
    assert sorted(str(answer) for answer in answers.values()) == ["0", "1", "2"]


def test_one_that_does_not_answer_delays_the_others_no_longer_than_allowed() -> None:
    never = threading.Event()
    answers = call_all({"hung": lambda: never.wait(60), "up": lambda: True}, seconds=0.05)
    never.set()
    assert answers["up"] is True
    assert isinstance(answers["hung"], BackendUnavailable)
    assert str(answers["hung"]) == "Cluster hung: no answer within 0.05 s. The next pass tries again."


def test_what_nobody_foresaw_is_an_answer_too() -> None:
    def fails() -> int:
        raise ZeroDivisionError

    answers = call_all({"a": fails, "b": lambda: 1}, seconds=10)
    assert isinstance(answers["a"], ZeroDivisionError)
    assert answers["b"] == 1

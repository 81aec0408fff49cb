"""Calls to clusters within one pass: one that does not answer costs its seconds once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mitorch_service.controller.apply.launch import Launcher
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.plan.actions import Launch
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_training, an_attempt


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Something that is not answered before the test's end."""
    event = threading.Event()
    yield event
    event.set()


def hang(events: EventLog, never: threading.Event) -> None:
    """A call of the cluster `hung` that takes longer than it may, and one of another that does not."""
    assert events.call_clusters({"hung": lambda: never.wait(60), "up": lambda: True}, 0.01) == {"up": True}


def test_a_cluster_that_let_a_call_wait_is_not_called_again(never: threading.Event) -> None:
    events, asked = EventLog(), list[str]()
    hang(events, never)
    calls = {name: lambda name=name: asked.append(name) for name in ("hung", "up")}
    assert events.call_clusters(calls, 10) == {"up": None}
    assert asked == ["up"]
    assert [event.text for event in events.events] == [
        "Cluster hung: no answer within 0.01 s. The next pass tries again."
    ]


def test_nothing_is_claimed_for_a_cluster_that_does_not_answer(store: Store, never: threading.Event) -> None:
    events, hung = EventLog(), FakeBackend("hung")
    hang(events, never)
    store.queue.add_trainings([training := a_training()])
    launcher = Launcher(store, {"hung": hung}, events)
    launcher.launch([Launch(training.id, an_attempt(training, cluster="hung"))], NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.NEW
    assert hung.running() == []

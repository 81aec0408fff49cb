"""Passes with webhooks: what ends or lasts is told once, whatever passes overlap, die or are kept waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.notify.notifier import Notifier
from mitorch_service.controller.notify.sending import Sending
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import RunRefused, StoreUnavailable
from mitorch_service.known_secrets import Secret, know
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.notification import Event, event_id
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.webhook_settings.webhook import EventKind, Webhook
from mitorch_service.webhooks.event_delivery import Answer
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import NOW, a_job, a_training, a_trial, later
from tests.webhook_receiver import Receiver, receiving

DAY = 24 * 3600.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


class Service:
    """A store, a cluster and a controller with webhooks."""

    def __init__(self, store: Store, webhooks: Sequence[Webhook], slots: int = 4) -> None:
        self.store, self.cluster = store, FakeBackend("gpu", slots)
        self.webhooks = webhooks

    def tick(self, seconds: float = 0, webhooks: Sequence[Webhook] | None = None) -> PassReport:
        hooks = self.webhooks if webhooks is None else webhooks
        return Controller(self.store, {"gpu": self.cluster}, webhooks=hooks).tick(later(seconds))

    def submit(self, **fields: Any) -> Training:
        training = a_training(**fields)
        self.store.queue.add_trainings([training])
        return training

    def finish(self, training: Training, outcome: AttemptOutcome, at: datetime = NOW, text: str = "") -> None:
        """Its run reports its start and its end."""
        number = self.store.trainings.get_training(training.id).attempt
        self.store.runs.start_training(training.id, number, "worker", at)
        error = TrainingErrorInfo(type="Error", message=text) if text else None
        self.store.runs.finish_training(
            training.id, number, "worker", at, RunEnd(outcome, {"top1_accuracy": 0.9}, error)
        )
        self.cluster.end(f"mt-{training.id}-a{number}", RunState.SUCCEEDED)


def test_each_end_of_a_training_is_told_once(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook()])
    good, bad, wild, canceled = (service.submit(name=name) for name in ("good", "bad", "wild", "canceled"))
    service.tick()
    assert receiver.received == []
    service.finish(good, AttemptOutcome.COMPLETED)
    service.finish(bad, AttemptOutcome.FAILED, text="out of <memory>")
    service.finish(wild, AttemptOutcome.DIVERGED, text="The loss became nan")
    service.finish(canceled, AttemptOutcome.CANCELED)
    report = service.tick(10)
    for seconds in (20, 30):
        service.tick(seconds)
    assert [event.text for event in report.events] == ["webhook ops: 3 notifications sent"]
    told = {one.json()["data"]["name"]: one.json() for one in receiver.received}
    assert len(receiver.received) == 3
    assert {name: one["type"] for name, one in told.items()} == {
        "good": "training.completed",
        "bad": "training.failed",
        "wild": "training.diverged",
    }
    assert told["bad"]["data"]["reason"] == "out of <memory>"
    assert told["good"]["data"]["facts"]["result"] == "top1_accuracy 0.9"
    assert told["good"]["data"]["facts"]["training"] == good.id


def test_a_training_that_was_lost_too_often_and_one_that_is_retried(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook()])
    training = service.submit()
    for attempt in range(3):
        service.tick(attempt * 10)
        service.cluster.end(f"mt-{training.id}-a{attempt + 1}", RunState.KILLED, "the node is gone")
        service.tick(attempt * 10 + 5)
    assert receiver.types() == ["training.lost"]
    assert "lost 3 times" in receiver.received[0].json()["data"]["reason"]
    store.queue.retry_training(training.id, later(31))
    service.tick(40)
    service.finish(training, AttemptOutcome.COMPLETED, later(50))
    service.tick(60)
    assert receiver.types() == ["training.lost", "training.completed"]


def test_what_ran_before_there_were_webhooks_is_told_and_what_ended_before_is_not(
    store: Store, receiver: Receiver
) -> None:
    service = Service(store, [receiver.webhook()])
    early, running = service.submit(name="early"), service.submit(name="running")
    service.tick(webhooks=[])
    service.finish(early, AttemptOutcome.COMPLETED)
    service.tick(10)
    service.finish(running, AttemptOutcome.COMPLETED)
    service.tick(20)
    assert [one.json()["data"]["name"] for one in receiver.received] == ["running"]


def test_an_end_of_long_ago_is_not_told_any_more(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook()])
    training = service.submit()
    service.tick()
    service.finish(training, AttemptOutcome.COMPLETED)
    service.tick(4 * DAY)
    assert receiver.received == []
    assert store.notifications.ended_trainings(10) == []


def test_the_trials_of_a_search_are_told_to_those_who_want_them(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook("jobs"), receiver.webhook("all", trials=True)])
    job = a_job(
        status=JobStatus.RUNNING, search=SearchConfig(algorithm="random", max_trials=1, objective="val_loss", seed=1)
    )
    store.jobs.add_job(job)
    trial = a_trial(job.id, 0)
    store.queue.add_trainings([trial])
    service.tick()
    service.finish(trial, AttemptOutcome.COMPLETED)
    service.tick(10)
    service.tick(20)
    told = sorted((one.path, one.json()["type"]) for one in receiver.received)
    assert told == [("/all", "job.failed"), ("/all", "training.completed"), ("/jobs", "job.failed")]


def test_without_webhooks_no_more_is_asked_and_nothing_is_marked(store: Store) -> None:
    asked: list[str] = []
    service = Service(HookedStore(store, asked.append), [])
    training = service.submit()
    service.tick()
    assert store.trainings.get_training(training.id).announce_end is None
    asked.clear()
    service.tick(10)
    without = list(asked)
    assert without.count("change_all") == 0 and "insert" not in without


def test_a_million_old_trainings_change_nothing(store: Store, receiver: Receiver) -> None:
    old = [a_training(status=TrainingStatus.COMPLETED).to_document() for _ in range(500)]
    primitives(store).insert("trainings", old)
    asked: list[str] = []
    service = Service(HookedStore(store, asked.append), [receiver.webhook()])
    service.tick()
    asked.clear()
    service.tick(60)
    few = Counted(asked)
    assert receiver.received == []
    assert few["find"] <= 12 and few["insert"] == few["change"] == 0


class Counted(dict[str, int]):
    """How often each operation was made."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__({name: names.count(name) for name in names})

    def __missing__(self, name: str) -> int:
        return 0


def test_a_budget_is_told_once(store: Store, receiver: Receiver) -> None:
    search = SearchConfig(algorithm="random", max_trials=5, objective="val_loss", max_time=60, seed=1)
    job = a_job(status=JobStatus.RUNNING, search=search, name="sweep", created_at=NOW)
    store.jobs.add_job(job)
    trial = a_trial(job.id, 0, status=TrainingStatus.NEW)
    store.queue.add_trainings([trial])
    service = Service(store, [receiver.webhook(events=("job",))])
    for seconds in (0, 61, 62, 200):
        service.tick(seconds)
    (one,) = receiver.received
    assert one.json()["type"] == "job.limit"
    assert "(search.max_time) of 60 s is over" in one.json()["data"]["reason"]


def test_a_cluster_that_refuses_is_told_once_for_each_time(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook(events=("cluster",))])
    service.cluster.refuses[""] = RunRefused("gpu", "no quota", "Ask for more.")
    service.submit()
    for seconds in (0, 10, 400, 900):
        service.tick(seconds)
    assert receiver.types() == ["cluster.refusing"]
    data = receiver.received[0].json()["data"]
    assert data["subject"] == "cluster gpu" and "no quota" in data["reason"]
    service.cluster.refuses.clear()
    for seconds in (1900, 1910, 5000):
        service.tick(seconds)
    assert receiver.types() == ["cluster.refusing"]
    service.cluster.refuses[""] = RunRefused("gpu", "no quota", "Ask for more.")
    service.submit()
    for seconds in (6000, 6010):
        service.tick(seconds)
    assert receiver.types() == ["cluster.refusing", "cluster.refusing"]
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 2


def test_a_leak_is_told_once_it_has_lasted(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(store, [receiver.webhook(events=("cluster.leak",))])
    monkeypatch.setattr(service.cluster, "capacity", lambda: Capacity(4, 3))
    for minutes in (0, 10, 20):
        service.tick(minutes * 60)
    assert receiver.received == []
    for minutes in (30, 40):
        service.tick(minutes * 60)
    assert receiver.types() == ["cluster.leak"]
    assert "1 node is busy" in receiver.received[0].json()["data"]["reason"]


def test_a_pass_that_dies_anywhere_tells_everything_once(store: Store, receiver: Receiver) -> None:
    """The pass is killed at each of its writes in turn, and another one follows."""
    for death in range(1, 40):
        receiver.received.clear()
        service = Service(store, [receiver.webhook()])
        training = service.submit()
        service.tick(death * 1000)
        service.finish(training, AttemptOutcome.COMPLETED, later(death * 1000))
        writes = 0

        def dies(operation: str, limit: int = death) -> None:
            nonlocal writes
            writes += operation in ("insert", "change", "change_all", "replace", "remove_between")
            if writes == limit:
                raise Killed

        killed = False
        try:
            Service(HookedStore(store, dies), service.webhooks).tick(death * 1000 + 10)
        except Killed:
            killed = True
        sent_twice = bool(receiver.received)  # it died between the answer and its note of it
        service.tick(death * 1000 + 100)
        ids = {one.headers["webhook-id"] for one in receiver.received}
        assert len(ids) == 1
        assert len(receiver.received) <= 1 + (killed and sent_twice)
        if not killed:
            return
    raise AssertionError("the pass has more writes than were tried")


class Killed(BaseException):
    """The pass's process dies here."""


def test_two_overlapping_passes_tell_everything_once(store: Store) -> None:
    sent: list[str] = []
    inside, go_on = threading.Event(), threading.Event()
    receiver = Receiver(port=1)

    def deliver(webhook: Webhook, event: Event, now: datetime, seconds: float) -> Answer:
        sent.append(event.id)
        inside.set()
        go_on.wait(5)
        return Answer()

    def send() -> None:
        Sending(store, [receiver.webhook()], EventLog(), lambda: NOW, deliver).send()

    store.notifications.record_events([(an_event(str(n)), ["ops"]) for n in range(3)], NOW)
    first = threading.Thread(target=send)
    first.start()
    assert inside.wait(5)
    send()  # while the first one waits for an answer
    assert len(sent) == 1
    go_on.set()
    first.join()
    send()
    assert len(sent) == len(set(sent)) == 3
    assert store.notifications.count("ops") == (0, 0)


def an_event(key: str, seconds: float = 0) -> Event:
    at = later(seconds)
    return Event(id=event_id(at, key), kind=EventKind.JOB_FAILED, at=at, subject="job 1", text="failed")


class Sender:
    """The sending of passes to one webhook whose answers a test decides."""

    def __init__(self, store: Store, answer: Callable[[Event], Answer], events: int = 1) -> None:
        self.store, self.answer = store, answer
        self.tried: list[str] = []
        self.log = EventLog()
        store.notifications.record_events([(an_event(str(n), n), ["ops"]) for n in range(events)], NOW)

    def send(self, seconds: float) -> None:
        hooks = [Receiver(port=1).webhook()]
        Sending(self.store, hooks, self.log, lambda: later(seconds), self._deliver).send()

    def _deliver(self, webhook: Webhook, event: Event, now: datetime, seconds: float) -> Answer:
        self.tried.append(event.id)
        return self.answer(event)

    @property
    def state(self) -> Any:
        return self.store.notifications.webhook_states(["ops"])["ops"]


def test_a_receiver_that_fails_is_left_alone_longer_each_time(store: Store) -> None:
    sender = Sender(store, lambda event: Answer("HTTP 500"), events=3)
    tried_at = []
    for seconds in range(3, 3600, 10):
        before = len(sender.tried)
        sender.send(seconds)
        tried_at += [seconds] if len(sender.tried) > before else []
    assert tried_at == [3, 33, 93, 213, 453, 933, 1893]
    assert len(set(sender.tried)) == 1  # the others wait behind it
    assert (sender.state.failures, sender.state.problem, sender.state.failing_since) == (7, "HTTP 500", later(3))
    assert sender.log.events[0].text == "webhook ops (127.0.0.1): HTTP 500; retrying at 12:30:48"
    sender.answer = lambda event: Answer()
    sender.send(2 * 3600)
    assert store.notifications.count("ops") == (0, 0)
    assert (sender.state.failures, sender.state.failing_since, sender.state.sent_at) == (0, None, later(7200))


def test_a_receiver_is_asked_again_when_it_says(store: Store) -> None:
    sender = Sender(store, lambda event: Answer("HTTP 429", wait=100))
    for seconds in (0, 50, 99):
        sender.send(seconds)
    assert len(sender.tried) == 1
    sender.send(101)
    assert len(sender.tried) == 2


def test_an_event_that_is_refused_keeps_no_other(store: Store) -> None:
    bad = an_event("0").id
    sender = Sender(store, lambda event: Answer("HTTP 400", of_request=True) if event.id == bad else Answer(), events=3)
    sender.send(3)
    assert len(sender.tried) == 3
    assert store.notifications.count("ops") == (1, 0)
    for seconds in range(10, int(5 * DAY), 1800):
        sender.send(seconds)
    assert store.notifications.count("ops") == (0, 1)
    assert set(sender.tried[3:]) == {bad}
    assert "given up after 3 days: HTTP 400" in sender.log.events[-2].text + sender.log.events[-1].text


def test_a_receiver_that_refuses_everything_is_not_asked_for_each(store: Store) -> None:
    sender = Sender(store, lambda event: Answer("HTTP 404", of_request=True), events=50)
    sender.send(50)
    assert len(sender.tried) == 3
    sender.send(51)
    assert len(sender.tried) == 3


def test_after_three_days_what_a_dead_receiver_never_took_is_given_up(store: Store) -> None:
    sender = Sender(store, lambda event: Answer("Connection refused"), events=5)
    sender.send(10)
    assert store.notifications.count("ops") == (5, 0)
    sender.send(3 * DAY + 10)
    assert store.notifications.count("ops") == (0, 5)


def test_a_dead_receiver_holds_up_no_pass_and_no_other_receiver(store: Store, receiver: Receiver) -> None:
    good, dead = receiver.webhook("good"), receiver.webhook("dead")

    def deliver(webhook: Webhook, event: Event, now: datetime, seconds: float) -> Answer:
        if webhook.name == "dead":
            time.sleep(2)  # longer than it may
        return Answer()

    events = [(an_event(str(n)), ["good", "dead"]) for n in range(5)]
    store.notifications.record_events(events, NOW)
    log = EventLog()
    begin = time.monotonic()
    Sending(store, [dead, good], log, lambda: NOW, deliver, seconds=0.1).send()
    assert time.monotonic() - begin < 1.5
    assert store.notifications.count("good") == (0, 0)
    assert store.notifications.count("dead") == (5, 0)
    assert any("webhook dead" in event.text and event.failed for event in log.events)


def test_a_fault_of_ours_ends_no_pass(store: Store, receiver: Receiver) -> None:
    def deliver(webhook: Webhook, event: Event, now: datetime, seconds: float) -> Answer:
        raise ZeroDivisionError("a fault")

    store.notifications.record_events([(an_event("a"), ["ops"])], NOW)
    log = EventLog()
    Notifier(store, [receiver.webhook()], log, deliver).notify(Snapshot(), lambda: NOW, lambda: True)
    assert any(event.trace and "a fault" in event.text for event in log.events)
    assert store.notifications.count("ops") == (1, 0)


def test_a_database_that_is_gone_leaves_the_pass_done(store: Store, receiver: Receiver) -> None:
    def fails(operation: str) -> None:
        if operation == "find":
            raise StoreUnavailable("here", "it is gone", "Wait.")

    log = EventLog()
    notifier = Notifier(HookedStore(store, fails), [receiver.webhook()], log)
    notifier.notify(Snapshot(), lambda: NOW, lambda: True)
    assert log.events and all(event.failed for event in log.events)


def test_a_pass_whose_time_is_over_tells_the_most_urgent(store: Store, receiver: Receiver) -> None:
    service = Service(store, [receiver.webhook()])
    training = service.submit()
    service.tick()
    service.finish(training, AttemptOutcome.COMPLETED)
    Notifier(store, service.webhooks, EventLog()).notify(Snapshot(), lambda: NOW, lambda: False)
    assert receiver.types() == ["training.completed"]


def test_what_is_told_holds_no_secret(store: Store, receiver: Receiver) -> None:
    know([Secret("a-secret-value")])
    service = Service(store, [receiver.webhook()])
    training = service.submit(name="of a-secret-value")
    service.tick()
    text = "mongodb://me:hidden@host/ refused a-secret-value"
    service.finish(training, AttemptOutcome.FAILED, text=text)
    service.tick(10)
    (one,) = receiver.received
    assert b"a-secret-value" not in one.body and b"hidden" not in one.body
    assert one.json()["data"]["reason"] == "mongodb://me:***@host/ refused ***"
    assert "a-secret-value" not in str(list_all(store))


def test_old_notifications_are_forgotten(store: Store) -> None:
    sender = Sender(store, lambda event: Answer())
    sender.send(10)
    assert len(list_all(store)) == 1
    at = NOW + timedelta(days=31)
    store.notifications.record_events([(an_event("later", 31 * DAY), ["ops"])], at)
    sender.send(31 * DAY)
    (one,) = list_all(store)
    assert one["state"] == "sent" and one["created_at"] != NOW


def list_all(store: Store) -> list[dict[str, Any]]:
    return list(primitives(store).find(Query("notifications")))

"""Marks, the outbox and the states of webhooks in the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.notify.sending import Sending
from mitorch_service.errors import RunRefused
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.notification import Condition, Event, event_id
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.webhook_settings.webhook import EventKind
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_training, an_attempt, later
from tests.webhook_receiver import receiving


def an_event(key: str, seconds: float = 0) -> Event:
    at = later(seconds)
    return Event(id=event_id(at, key), kind=EventKind.JOB_FAILED, at=at, subject="job 1", text="failed")


def test_the_end_of_what_was_marked_is_found_whoever_wrote_it(store: Store) -> None:
    marked, plain, open_, retried = (a_training() for _ in range(4))
    store.queue.add_trainings([marked, plain, open_, retried])
    trainings = [marked, plain, open_, retried]
    claims = [(one.id, an_attempt(one)) for one in trainings]
    store.queue.claim_trainings(claims, {marked.id, open_.id, retried.id})
    assert store.notifications.ended_trainings(10) == []
    for one in (marked, plain, retried):
        store.queue.request_cancel(one.id, NOW)
        end(store, one)
    found = store.notifications.ended_trainings(10)
    assert {one["_id"] for one in found} == {marked.id, retried.id}
    store.queue.retry_training(retried.id, later(1))
    store.notifications.unmark("trainings", found)
    assert store.notifications.ended_trainings(10) == []
    assert store.trainings.get_training(marked.id).announce_end is None
    assert store.trainings.get_training(retried.id).announce_end  # its next end is another one


def end(store: Store, training: Training) -> None:

    error = TrainingErrorInfo(type="E", message="it failed")
    assert store.queue.end_attempt(training.id, 1, NOW, AttemptOutcome.FAILED, TrainingStatus.FAILED, error)


def test_what_is_active_is_marked_afterwards_and_what_has_ended_is_not(store: Store) -> None:
    active = a_training(status=TrainingStatus.RUNNING)
    ended = a_training(status=TrainingStatus.COMPLETED)
    job, over = a_job(), a_job(status=JobStatus.COMPLETED)
    store.queue.add_trainings([active, ended])
    for one in (job, over):
        store.jobs.add_job(one)
    store.notifications.mark_trainings([active, ended])
    store.notifications.mark_jobs([job, over])
    assert store.trainings.get_training(active.id).announce_end
    assert store.trainings.get_training(ended.id).announce_end is None
    assert store.notifications.ended_trainings(10) == store.notifications.ended_jobs(10) == []
    store.jobs.finish_job(job.id, JobStatus.FAILED, NOW, "no", {}, None)
    (found,) = store.notifications.ended_jobs(10)
    assert Job.from_document({**found, "config": {}}).error == "no"
    store.notifications.unmark("jobs", [found])
    assert store.notifications.ended_jobs(10) == []


def test_an_event_is_in_the_outbox_once_for_each_webhook(store: Store) -> None:
    first, second = an_event("a"), an_event("b", seconds=-5)
    assert store.notifications.record_events([(first, ["ops", "all"]), (second, ["ops"])], NOW) == 3
    assert store.notifications.record_events([(first, ["ops", "all"]), (second, ["new"])], later(1)) == 1
    waiting = store.notifications.waiting("ops", NOW, 10)
    assert [one.event for one in waiting] == [second, first]
    assert store.notifications.waiting("ops", later(-1), 10) == waiting[:1]
    assert store.notifications.waiting("ops", NOW, 1) == waiting[:1]
    assert store.notifications.count("ops") == (2, 0)


def test_a_notification_ends_once(store: Store) -> None:
    store.notifications.record_events([(an_event("a"), ["ops"])], NOW)
    (one,) = store.notifications.waiting("ops", NOW, 10)
    assert store.notifications.put_off(one, "HTTP 400", later(30))
    assert not store.notifications.mark_sent(one, NOW)  # another pass has tried it since
    assert store.notifications.waiting("ops", later(29), 10) == []
    (one,) = store.notifications.waiting("ops", later(30), 10)
    assert (one.tries, one.problem) == (1, "HTTP 400")
    assert store.notifications.mark_sent(one, later(31))
    assert not store.notifications.mark_sent(one, later(31))
    assert store.notifications.count("ops") == (0, 0)
    store.notifications.record_events([(an_event("a"), ["ops"])], later(40))
    assert store.notifications.count("ops") == (0, 0)  # it was sent


def test_what_was_given_up_is_counted_until_it_is_forgotten(store: Store) -> None:
    store.notifications.record_events([(an_event("a"), ["ops"]), (an_event("b", 60), ["ops"])], NOW)
    for one in store.notifications.waiting("ops", later(100), 10):
        assert store.notifications.give_up(one, "HTTP 404", later(100))
    assert store.notifications.count("ops") == (0, 2)
    days = timedelta(days=30)
    assert store.notifications.forget_old(NOW + days - timedelta(seconds=1)) == 0
    assert store.notifications.forget_old(NOW + days + timedelta(seconds=1)) == 1
    assert store.notifications.count("ops") == (0, 1)


def test_one_pass_at_a_time_may_send_to_a_webhook(open_store: Callable[[], Store]) -> None:
    one, two = open_store(), open_store()
    one.prepare()
    until = later(60)
    state = one.notifications.webhook_states(["ops"])["ops"]
    same = two.notifications.webhook_states(["ops"])["ops"]
    assert one.notifications.lease_webhook(state, until)
    assert not two.notifications.lease_webhook(same, later(61))
    after = state.model_copy(update={"failures": 2, "problem": "HTTP 500", "failing_since": NOW, "free_at": 5})
    assert one.notifications.release_webhook(after, until)
    assert not one.notifications.release_webhook(state, until)
    assert two.notifications.webhook_states(["ops", "new"])["ops"] == after
    assert two.notifications.lease_webhook(after, later(70))
    assert two.notifications.webhook_states(["ops"])["ops"].failures == 2


def test_the_backoff_of_a_webhook_ends_when_it_works_again(store: Store) -> None:
    state = store.notifications.webhook_states(["ops"])["ops"]
    store.notifications.lease_webhook(state, later(60))
    waits = state.model_copy(update={"failing_since": NOW, "free_at": round(later(3600).timestamp() * 1000)})
    store.notifications.release_webhook(waits, later(60))
    assert store.notifications.try_again(waits, NOW)
    assert store.notifications.webhook_states(["ops"])["ops"].free_at == round(NOW.timestamp() * 1000)
    leased = store.notifications.webhook_states(["ops"])["ops"]
    store.notifications.lease_webhook(leased, later(60))
    assert not store.notifications.try_again(store.notifications.webhook_states(["ops"])["ops"], NOW)


def test_one_pass_begins_an_episode(store: Store) -> None:
    before = Condition(id="condition:cluster.leak:gpu")
    begun = before.model_copy(update={"holds": True, "episode": 1, "since": NOW, "seen_at": NOW})
    assert store.notifications.change_condition(before, begun)
    assert not store.notifications.change_condition(before, begun)
    assert store.notifications.conditions([before.id, "another"]) == {before.id: begun}
    store.notifications.forget_conditions([before.id])
    assert store.notifications.conditions([before.id]) == {}


def test_damaged_documents_stop_nothing(store: Store) -> None:
    store.notifications.record_events([(an_event("a"), ["ops"])], NOW)
    (one,) = store.notifications.waiting("ops", NOW, 10)
    primitives(store).replace(
        "notifications", {"_id": "20261120-x", "webhook": "ops", "state": "waiting", "due": one.due, "event": 5}
    )
    assert store.notifications.waiting("ops", NOW, 10) == [one]
    assert store.notifications.count("ops") == (1, 0)
    primitives(store).replace("controllers", {"_id": "webhook:ops", "free_at": "soon"})
    assert store.notifications.webhook_states(["ops"])["ops"].free_at == 0
    assert store.notifications.lease_webhook(store.notifications.webhook_states(["ops"])["ops"], later(60))


def test_what_cannot_be_read_is_announced_if_somebody_wants_to_know(store: Store) -> None:
    training, job = a_training(), a_job()
    store.queue.add_trainings([training])
    store.jobs.add_job(job)
    store.queue.quarantine_training(training.id, NOW, "it is broken", announced=True)
    store.jobs.quarantine_job(job.id, NOW, "it is broken", announced=True)
    assert [one["_id"] for one in store.notifications.ended_trainings(10)] == [training.id]
    assert [one["_id"] for one in store.notifications.ended_jobs(10)] == [job.id]


def test_passes_tell_what_ends_and_what_lasts_once(store: Store) -> None:
    cluster = FakeBackend("gpu", slots=3)
    good, refused = a_training(name="good"), a_training(name="refused", arrival=2_000_000_000_000_000)
    store.queue.add_trainings([good])
    with receiving() as receiver:

        def tick(seconds: float) -> None:
            Controller(store, {"gpu": cluster}, webhooks=[receiver.webhook()]).tick(later(seconds))

        tick(0)
        store.runs.start_training(good.id, 1, "worker", later(1))
        store.runs.finish_training(good.id, 1, "worker", later(2), RunEnd(AttemptOutcome.COMPLETED))
        cluster.end(f"mt-{good.id}-a1", RunState.SUCCEEDED)
        cluster.refuses[refused.id] = RunRefused("gpu", "no quota", "Ask for more.")
        store.queue.add_trainings([refused])
        for seconds in (10, 20, 30):
            tick(seconds)
        assert receiver.types() == ["training.completed", "cluster.refusing"]
        (found,) = store.notifications.webhook_states(["ops"]).values()
        assert (found.failures, found.problem, store.notifications.count("ops")) == (0, None, (0, 0))


def test_controllers_at_once_send_everything_once(open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(3)]
    stores[0].prepare()
    events = [an_event(str(number), -number) for number in range(30)]
    with receiving() as receiver:
        webhook = receiver.webhook()

        def pass_after_pass(store: Store) -> None:
            for _ in range(10):
                store.notifications.record_events([(event, ["ops"]) for event in events], NOW)
                Sending(store, [webhook], EventLog(), lambda: datetime.now(UTC)).send()

        threads = [threading.Thread(target=pass_after_pass, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = [one.headers["webhook-id"] for one in receiver.received]
    assert sorted(ids) == sorted(event.id for event in events)
    assert stores[0].notifications.count("ops") == (0, 0)

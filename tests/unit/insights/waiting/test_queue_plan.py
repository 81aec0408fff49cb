"""One plan for the head of the queue: why each training waits."""

from __future__ import annotations

from datetime import timedelta

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.insights.waiting.queue_overview import read_overview
from mitorch_service.insights.waiting.queue_plan import HEAD, Wait, plan_queue, read_durations, read_snapshot
from mitorch_service.insights.waiting.recorded_durations import RecordedDurations
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Resources
from mitorch_service.placement_settings.policy import FairShare, Policy
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import NOW, a_training, an_attempt, later


def test_a_plan_says_who_starts_and_what_the_others_wait_for() -> None:
    store = SqliteStore(None)
    running = a_training()
    rows = [a_training(priority=50), a_training(), a_training(resources=Resources(cluster=["b"], nodes=9))]
    store.queue.add_trainings([running, *rows])
    store.queue.claim_training(running.id, an_attempt(running, cluster="a"))
    store.queue.record_submission(running.id, 1, later(1), None)
    capacities, asked = {"a": Capacity(2, 1), "b": Capacity(4, 0)}, {"a": later(5), "b": later(5)}
    snapshot = read_snapshot(store, capacities, asked, [Cluster("a"), Cluster("b")], later(6))
    waits = plan_queue(later(10), snapshot, RecordedDurations([]), None).waits
    assert [waits[row.id].starts_on for row in rows] == ["a", None, None]
    assert waits[rows[0].id].text == "The next pass starts it on a"
    assert waits[rows[1].id].text == "No free node on a, b"
    assert waits[rows[2].id].text == "a: not among its resources.cluster (b); b: has 4 nodes in all, 9 needed"
    assert waits[rows[0].id].expected is None  # nothing has ended yet
    store.close()


def test_a_run_that_was_accepted_after_the_cluster_was_asked_takes_its_node() -> None:
    store = SqliteStore(None)
    running, waiting = a_training(), a_training()
    store.queue.add_trainings([running, waiting])
    store.queue.claim_training(running.id, an_attempt(running, cluster="a"))
    store.queue.record_submission(running.id, 1, later(60), None)
    snapshot = read_snapshot(store, {"a": Capacity(2, 1)}, {"a": later(5)}, [Cluster("a")], later(6))
    plan = plan_queue(later(70), snapshot, RecordedDurations([]), None)
    assert plan.waits[waiting.id].text == "No free node on a"
    store.close()


def test_the_queue_is_in_the_order_in_which_shares_are_served() -> None:
    store, policy = SqliteStore(None), Policy(fair_share=FairShare(by="user"))
    many = [a_training(submitted_by="amy") for _ in range(HEAD + 1)]
    store.queue.add_trainings([*many, late := a_training(submitted_by="bob")])
    waiting = read_overview(store, ["a"], NOW, policy).waiting
    assert [row.id for row in waiting[:3]] == [many[0].id, late.id, many[1].id]
    assert len(waiting) == HEAD
    snapshot = read_snapshot(store, {"a": Capacity(2, 2)}, {"a": NOW}, [Cluster("a")], NOW, policy)
    waits = plan_queue(NOW, snapshot, RecordedDurations([]), None).waits
    assert set(waits) == {row.id for row in waiting}
    assert [waits[row.id].starts_on for row in waiting[:3]] == ["a", "a", None]
    store.close()


def test_expected_starts_come_from_what_ended_last() -> None:
    store = SqliteStore(None)
    for seconds in (100, 200, 300):
        row = a_training(status=TrainingStatus.COMPLETED, attempt=1, status_times={"completed": later(seconds)})
        row.attempts.append(an_attempt(row).model_copy(update={"ended_at": later(seconds)}))
        store.queue.add_trainings([row])
    rows = [a_training() for _ in range(2)]
    store.queue.add_trainings(rows)
    snapshot = read_snapshot(store, {"a": Capacity(1, 1)}, {"a": NOW}, [Cluster("a")], later(6))
    recorded = read_durations(store)
    plan = plan_queue(NOW, snapshot, recorded, 1.0)
    first, second = (plan.waits[row.id].expected for row in rows)
    assert plan.recorded == 3
    assert first is not None and second is not None
    assert first.late < timedelta(seconds=2)
    assert timedelta(seconds=100) <= second.early < second.late <= timedelta(seconds=302)
    store.close()


def test_many_clusters_are_named_in_part() -> None:
    full = {name: "0 of 2 nodes free, 1 needed" for name in "abcde"}
    assert Wait(None, full).text == "No free node on a, b and 3 more clusters"
    large = {"a": "1 of 2 nodes free, 2 needed", "b": "0 of 1 node free, 2 needed"}
    assert Wait(None, large).text == "Too few free nodes for its 2 on a, b"
    mixed = {"a": "does not answer", "b": "0 of 1 node free, 1 needed", "c": "does not answer"}
    assert Wait(None, mixed).text == "a: does not answer; b: 0 of 1 node free, 1 needed; and 1 more cluster"
    assert Wait(None).text == "The next pass looks at it"

"""Fair share: whose training is next, and what each share has used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.placing.fair_share import Shares
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.fair_share.usage import ShareUsage, Usage, decayed_hours, usage_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training, TrainingErrorInfo, TrainingRow, run_name
from mitorch_service.placement_settings.policy import FairShare, Policy
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_training, an_attempt, later

BY_USER = FairShare(by="user", half_life="10h", max_wait="24h", weights={"bob": 2.0})


def of(user: str, **fields: Any) -> Training:
    return a_training(submitted_by=user, **fields)


def used(**hours: float) -> Usage:
    shares = [ShareUsage(share=share, node_hours=one, started_at=NOW) for share, one in hours.items()]
    return Usage(id=usage_id("user"), at=NOW, shares=shares)


def served(shares: Shares, waiting: Sequence[TrainingRow]) -> list[str]:
    """The users in the order in which they are served, as if all of them were given nodes."""
    order = []
    for row in shares.serve(waiting):
        shares.start(row)
        order.append(str(row.submitted_by))
    return order


def test_the_share_with_the_least_use_for_its_weight_is_next_and_each_node_counts_at_once() -> None:
    waiting = [of(user) for user in ("ann", "ann", "ann", "bob", "bob", "bob", "cyd")]
    shares = Shares(NOW, BY_USER, used(ann=1.0, bob=3.0))
    # cyd 0; ann 1, then bob 3 / 2 = 1.5, ann 2, then bob 4 / 2 = 2 (after ann, who came first), ann 3
    assert served(shares, waiting) == ["cyd", "ann", "bob", "ann", "bob", "bob", "ann"]


def test_priority_goes_before_shares_and_age_within_one() -> None:
    waiting = [of("ann", priority=1), of("ann"), of("bob"), of("bob", priority=200)]
    assert served(Shares(NOW, BY_USER, used(ann=99.0)), waiting) == ["ann", "bob", "ann", "bob"]


def test_what_runs_counts_until_now_and_holds_its_nodes() -> None:
    row = of("ann", resources=Resources(nodes=2))
    attempt = an_attempt(row).model_copy(update={"nodes": 2, "started_at": NOW})
    running = row.model_copy(update={"status": TrainingStatus.RUNNING, "attempt": 1, "attempts": [attempt]})
    (report,) = Shares(later(3600), BY_USER, None, [running]).reports()
    assert (report.share, report.nodes, report.due) == ("ann", 2, 1.0)
    assert report.node_hours == pytest.approx(2 * decayed_hours(NOW, later(3600), later(3600), 10.0))
    assert 1.9 < report.node_hours < 2.0


def test_use_halves_with_each_half_life_whenever_it_is_counted() -> None:
    usage = used(ann=8.0)
    assert usage.decayed(NOW + timedelta(hours=20), 10.0)["ann"].node_hours == pytest.approx(2.0)
    assert usage.decayed(NOW + timedelta(hours=600), 10.0) == {}
    end = NOW + timedelta(hours=5)
    at_once = decayed_hours(NOW, end, end, 10.0)
    assert decayed_hours(NOW, end, end + timedelta(hours=10), 10.0) == pytest.approx(at_once / 2)
    halves = decayed_hours(NOW, NOW + timedelta(hours=2), end, 10.0) + decayed_hours(
        NOW + timedelta(hours=2), end, end, 10.0
    )
    assert halves == pytest.approx(at_once)


def test_a_share_that_waits_too_long_is_served_first_but_once() -> None:
    long_ago = NOW - timedelta(hours=25)
    waiting = [of("ann", status_times={"new": long_ago}), of("ann", status_times={"new": long_ago}), of("cyd")]
    usage = used(ann=1e6)
    usage = usage.model_copy(update={"shares": [usage.shares[0].model_copy(update={"started_at": None})]})
    assert served(Shares(NOW, BY_USER, usage), waiting) == ["ann", "cyd", "ann"]
    just_served = used(ann=1e6)
    assert served(Shares(NOW, BY_USER, just_served), waiting) == ["cyd", "ann", "ann"]


def test_a_tag_says_for_whom_a_training_counts() -> None:
    assert shares_of(["team=vision", "user=bob", "user=ann"], "cyd") == {"user": "bob", "team": "vision"}
    assert shares_of(["teams=x", "User=bob", "user="], "cyd") == {"user": "cyd", "team": ""}
    assert shares_of([], None) == {"user": "", "team": ""}


def test_why_says_what_a_share_is_due_and_has_used() -> None:
    text = Shares(NOW, BY_USER, used(ann=3.0, bob=1.0)).text(of("ann"), [of("bob")])
    assert text == (
        "user ann: your share is 33% (weight 1), you have used 75% (3.0 node hours, halved every 10 h), "
        "and hold 0 nodes now; 1 of 2 are before you at equal priority"
    )


class _Service:
    """Passes over one cluster whose runs the test ends."""

    def __init__(self, store: Store, slots: int = 2) -> None:
        self.store, self.backend = store, FakeBackend("gpu", slots)
        self.controller = Controller(store, {"gpu": self.backend}, policy=Policy(fair_share=BY_USER))

    def tick(self, hours: float) -> None:
        assert not [event for event in self.controller.tick(NOW + timedelta(hours=hours)).events if event.failed]

    def report(self, row: TrainingRow, hours: float) -> None:
        """Its run says that it has started."""
        self.store.runs.start_training(row.id, self.row(row).attempt, "w", NOW + timedelta(hours=hours))

    def row(self, row: TrainingRow) -> TrainingRow:
        return self.store.trainings.get_row(row.id)

    def end(
        self,
        row: TrainingRow,
        hours: float,
        status: TrainingStatus = TrainingStatus.FAILED,
        outcome: AttemptOutcome = AttemptOutcome.FAILED,
    ) -> None:
        error, number = TrainingErrorInfo(type="x", message="x"), self.row(row).attempt
        at = NOW + timedelta(hours=hours)
        assert self.store.queue.end_attempt(row.id, number, at, outcome, status, error)
        self.backend.end(run_name(row.id, number), RunState.FAILED)

    def hours(self, at: float) -> dict[str, float]:
        usage = self.store.usage.read_usage("user")
        assert usage is not None
        return {share: one.node_hours for share, one in usage.decayed(NOW + timedelta(hours=at), 10.0).items()}


def test_use_is_counted_once_when_attempts_have_ended_even_between_two_passes(store: Store) -> None:
    service = _Service(store)
    ann, bob = of("ann"), of("bob", max_retries=1)
    store.queue.add_trainings([ann, bob])
    service.tick(0)
    service.report(ann, 0)
    service.report(bob, 0)
    service.end(ann, 1)
    service.end(bob, 2, TrainingStatus.NEW)
    service.tick(2)  # counts both, and starts bob's again
    expected = {
        "ann": decayed_hours(NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2), 10.0),
        "bob": decayed_hours(NOW, NOW + timedelta(hours=2), NOW + timedelta(hours=2), 10.0),
    }
    assert service.hours(2) == pytest.approx(expected)
    version = store.usage.read_usage("user")
    service.tick(3)
    assert store.usage.read_usage("user") == version  # nothing has ended: nothing is written
    service.end(bob, 3)
    service.tick(12)
    service.tick(12.5)
    assert service.hours(12)["ann"] == pytest.approx(expected["ann"] / 2)
    usage = store.usage.read_usage("user")
    assert usage is not None
    assert usage.open == []


def test_what_never_ran_or_was_deleted_costs_no_share(store: Store) -> None:
    service = _Service(store, slots=3)
    canceled, deleted, waits = of("ann"), of("ann"), of("bob", priority=200)
    store.queue.add_trainings([canceled, deleted, waits])
    service.tick(0)
    service.report(deleted, 0)
    service.end(deleted, 1)
    service.end(canceled, 1, TrainingStatus.CANCELED, AttemptOutcome.CANCELED)
    store.queue.delete_training(deleted.id)
    service.tick(2)
    assert service.hours(2) == {"ann": 0.0, "bob": 0.0}  # both were started


def test_passes_that_overlap_count_once(store: Store) -> None:
    service = _Service(store)
    ann = of("ann")
    store.queue.add_trainings([ann])
    service.tick(0)
    service.report(ann, 0)
    service.end(ann, 1)
    before = store.usage.read_usage("user")
    service.tick(2)
    late = before.model_copy(update={"at": later(1)}) if before else None
    assert before is not None
    assert late is not None
    assert not store.usage.replace_usage(before, late)  # what the slower pass would write
    assert service.hours(2)["ann"] > 0.9


def test_the_next_training_of_each_user_is_found_behind_any_number_of_others(store: Store) -> None:
    service = _Service(store, slots=2)
    store.queue.add_trainings([*(of("ann") for _ in range(40)), of("bob"), of("cyd")])
    service.tick(0)
    running = {row.submitted_by for row in store.queue.active_trainings().items}
    assert running == {"ann", "bob"}  # all have used nothing: who came first


def test_without_the_setting_nothing_is_kept_and_the_order_is_by_age(store: Store) -> None:
    backend = FakeBackend("gpu", 2)
    store.queue.add_trainings([*(of("ann") for _ in range(3)), of("bob")])
    Controller(store, {"gpu": backend}).tick(NOW)
    assert [row.submitted_by for row in store.queue.active_trainings().items] == ["ann", "ann"]
    assert store.usage.read_usage("user") is None


def test_a_pass_backfills_by_what_is_recorded_and_says_for_whom_the_nodes_are_reserved(store: Store) -> None:
    def ended(dataset: str, seconds: float) -> Training:
        ref = DatasetRef(name=dataset, version=1)
        row = a_training(status=TrainingStatus.COMPLETED, dataset=ref, status_times={"completed": NOW}, attempt=1)
        times = {"queued_at": later(-seconds), "started_at": later(-seconds), "ended_at": NOW}
        return row.model_copy(update={"attempts": [an_attempt(row).model_copy(update=times)]})

    recorded = [ended(dataset, seconds) for dataset, seconds in (("slow", 9000), ("quick", 60)) for _ in range(3)]
    slow, quick = (DatasetRef(name=name, version=1) for name in ("slow", "quick"))
    holds = a_training(dataset=slow)
    wide, short, long = a_training(resources=Resources(nodes=2)), a_training(dataset=quick), a_training(dataset=slow)
    backend = FakeBackend("gpu", 2)
    controller = Controller(store, {"gpu": backend}, policy=Policy(backfill=True))
    store.queue.add_trainings([*recorded, holds])
    controller.tick(NOW)
    store.queue.add_trainings([wide, long, short])
    controller.tick(later(10))
    found = {row.id: row.attempts[-1].behind for row in store.queue.active_trainings().items}
    assert found == {holds.id: None, short.id: wide.id}
    assert store.trainings.get_row(long.id).status == TrainingStatus.NEW

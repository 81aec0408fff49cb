"""The plan of one pass for trainings: assign, watch, give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.plan.actions import (
    Action,
    CancelRun,
    EndAttempt,
    Launch,
    NoteFound,
    NoteMissing,
    Submit,
)
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.attempts.attempt_budgets import MAX_LOST_ATTEMPTS
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training, run_name
from tests.samples import NOW, a_training, an_attempt, later

LOST, FAILED, CANCELED = AttemptOutcome.LOST, AttemptOutcome.FAILED, AttemptOutcome.CANCELED
BUSY = RunStatus(RunState.RUNNING)
KILLED = RunStatus(RunState.KILLED, "it was killed by SIGKILL")


def active(ended: Sequence[AttemptOutcome] = (), submitted: bool = True, begun: bool = True, **fields: Any) -> Training:
    """A queued training whose former attempts ended so; `begun`: whether the process of the current one has begun."""
    training = a_training(status=TrainingStatus.QUEUED, attempt=len(ended) + 1, **fields)
    outcomes = [*ended, None]
    attempts = [
        an_attempt(training, number).model_copy(
            update={
                "outcome": outcome,
                "submitted_at": NOW if submitted else None,
                "begun_at": NOW if begun and submitted else None,
            }
        )
        for number, outcome in enumerate(outcomes, 1)
    ]
    return training.model_copy(update={"attempts": attempts})


def seen(training: Training, run: RunStatus | None, **fields: Any) -> Snapshot:
    """A pass that sees this one training, and how its run looks."""
    name = run_name(training.id, training.attempt)
    values: dict[str, Any] = {"active": [training], "runs": {name: run}, "configured": frozenset({"local"})}
    return Snapshot(**{**values, **fields})


def launched(actions: Sequence[Action]) -> list[tuple[str, str]]:
    """The launches as (training, cluster), in order."""
    assert all(isinstance(action, Launch) for action in actions)
    return [(a.training_id, a.attempt.cluster) for a in actions if isinstance(a, Launch)]


def test_nothing_to_see_is_nothing_to_do() -> None:
    assert plan(NOW, Snapshot()) == []
    assert plan(NOW, Snapshot(clusters={"local": Capacity(2, 2)}, configured=frozenset({"local"}))) == []


def test_an_attempt_is_not_queued_before_the_one_before_it_ended() -> None:
    """A run may end after the pass began that assigns the next one."""
    ended = an_attempt(a_training()).model_copy(update={"outcome": AttemptOutcome.LOST, "ended_at": later(2)})
    training = a_training(attempt=1, attempts=[ended])
    (launch,) = plan(NOW, Snapshot([training], clusters={"local": Capacity(1, 1)}, configured=frozenset({"local"})))
    assert isinstance(launch, Launch)
    assert launch.attempt.queued_at == later(2)


def test_the_queue_is_served_by_priority_then_by_age() -> None:
    late, early = a_training(arrival=2), a_training(arrival=1)
    urgent, idle = a_training(arrival=9, priority=-5), a_training(arrival=0, priority=101)
    snapshot = Snapshot(queue=[late, idle, urgent, early], clusters={"local": Capacity(9, 9)})
    assert [id for id, _ in launched(plan(NOW, snapshot))] == [urgent.id, early.id, late.id, idle.id]


def test_no_more_is_launched_than_there_are_free_slots() -> None:
    queue = [a_training() for _ in range(5)]
    assert len(plan(NOW, Snapshot(queue=queue, clusters={"local": Capacity(4, 2)}))) == 2
    assert plan(NOW, Snapshot(queue=queue, clusters={"local": Capacity(4, 0)})) == []
    assert plan(NOW, Snapshot(queue=queue)) == []


def test_the_emptiest_cluster_is_filled_first_the_preferred_one_where_they_are_alike() -> None:
    queue = [a_training() for _ in range(5)]
    snapshot = Snapshot(queue=queue, clusters={"small": Capacity(1, 1), "big": Capacity(3, 3)})
    assert [cluster for _, cluster in launched(plan(NOW, snapshot))] == ["big", "big", "small", "big"]


def test_a_launch_takes_its_nodes_and_remembers_what_one_costs() -> None:
    training = a_training(resources=Resources(nodes=3, gpus=1))
    snapshot = Snapshot(
        queue=[training, a_training()],
        clusters={"gpu": Capacity(4, 4)},
        facts={"gpu": Cluster("gpu", price=2.5, gpus=1)},
    )
    first, second = plan(NOW, snapshot)
    assert isinstance(first, Launch)
    assert isinstance(second, Launch)
    assert (first.attempt.nodes, first.attempt.price, first.resources) == (3, 2.5, training.resources)
    assert (second.attempt.nodes, second.attempt.price, second.resources) == (1, 2.5, None)


def test_a_claimed_training_of_several_nodes_holds_them_all_and_is_submitted_as_it_was() -> None:
    claimed = active(submitted=False, resources=Resources(nodes=3))
    attempts = [claimed.attempts[0].model_copy(update={"nodes": 3})]
    claimed = claimed.model_copy(update={"attempts": attempts})
    queue = [a_training(), a_training()]
    first, second = plan(NOW, seen(claimed, None, queue=queue, clusters={"local": Capacity(8, 4)}))
    assert first == Submit(claimed.id, attempts[0], claimed.resources)
    assert isinstance(second, Launch)
    late = seen(claimed, BUSY, queue=queue, clusters={"local": Capacity(4, 4)})  # launched since it was asked
    found, launch = plan(NOW, late)
    assert isinstance(found, NoteFound)
    assert isinstance(launch, Launch)


def test_a_launch_is_the_next_attempt_under_its_own_name() -> None:
    training = a_training(attempt=2, attempts=active([LOST], submitted=True).attempts)
    (action,) = plan(NOW, Snapshot(queue=[training], clusters={"local": Capacity(1, 1)}))
    assert isinstance(action, Launch)
    attempt = action.attempt
    assert (attempt.number, attempt.run_name, attempt.queued_at) == (3, run_name(training.id, 3), NOW)
    assert (attempt.submitted_at, attempt.outcome) == (None, None)


def test_a_training_that_was_claimed_but_never_submitted_holds_a_slot_and_is_submitted_again() -> None:
    claimed = active(submitted=False)
    actions = plan(NOW, seen(claimed, None, queue=[a_training()], clusters={"local": Capacity(1, 1)}))
    assert actions == [Submit(claimed.id, claimed.attempts[0])]


def test_a_run_that_its_cluster_counts_is_not_counted_twice() -> None:
    training = active()
    actions = plan(NOW, seen(training, BUSY, queue=[a_training()], clusters={"local": Capacity(2, 1)}))
    assert len(launched(actions)) == 1


def test_a_run_that_was_launched_since_the_capacity_was_asked_holds_a_slot() -> None:
    training = active()
    assert plan(NOW, seen(training, BUSY, queue=[a_training()], clusters={"local": Capacity(1, 1)})) == []


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN])
def test_a_run_that_goes_on_is_left_alone(state: RunState) -> None:
    assert plan(NOW, seen(active(), RunStatus(state))) == []


def test_a_cluster_that_did_not_answer_decides_nothing() -> None:
    training = active(cancel_requested_at=NOW)
    snapshot = Snapshot(active=[training], queue=[a_training()], configured=frozenset({"local"}))
    assert plan(NOW, snapshot) == []


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (KILLED, "it was killed by SIGKILL"),
        (RunStatus(RunState.FAILED, "no database", EXIT_INFRASTRUCTURE), "no database"),
        (RunStatus(RunState.FAILED), "it ended without writing a result"),
        (RunStatus(RunState.FAILED, "Der Knoten wurde entzogen", 1, guessed=True), "Der Knoten wurde entzogen"),
    ],
)
def test_a_lost_run_is_tried_again(run: RunStatus | None, reason: str) -> None:
    training = active()
    (action,) = plan(NOW, seen(training, run))
    assert action == EndAttempt(training.id, training.attempts[0], LOST, TrainingStatus.NEW, reason)


def missed(training: Training, at: datetime | None) -> Training:
    """The training as it is once a pass has noted that its run is missing."""
    attempt = training.attempts[-1].model_copy(update={"missing_at": at})
    return training.model_copy(update={"attempts": [*training.attempts[:-1], attempt]})


def test_a_run_is_lost_once_its_cluster_has_not_known_it_in_two_passes() -> None:
    training = active()
    assert plan(NOW, seen(training, None)) == [NoteMissing(training.id, training.attempts[0])]
    assert plan(later(30), seen(missed(training, NOW), None)) == []
    (action,) = plan(later(60), seen(missed(training, NOW), None))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (LOST, TrainingStatus.NEW)
    assert action.reason == "its cluster does not know the run any more"
    (found,) = plan(later(60), seen(missed(training, NOW), BUSY))
    assert isinstance(found, NoteFound)  # the next time that it is missing is the first one again


def test_a_run_that_its_cluster_does_not_know_but_that_reports_is_not_lost() -> None:
    training = missed(active(), NOW)
    alive = training.attempts[0].model_copy(update={"started_at": NOW})
    training = training.model_copy(update={"attempts": [alive], "heartbeat_at": later(200)})
    assert plan(later(400), seen(training, None)) == []
    (action,) = plan(later(600), seen(training, None))
    assert isinstance(action, EndAttempt)


def test_a_run_of_which_nobody_recorded_the_submission_is_adopted() -> None:
    run = replace(BUSY, url="https://ml.azure.com/runs/r")
    for training in (active(submitted=False), active()):
        assert plan(NOW, seen(training, run)) == [NoteFound(training.id, training.attempts[0], run.url)]
    known = active()
    known = known.model_copy(update={"attempts": [known.attempts[0].model_copy(update={"url": run.url})]})
    assert plan(NOW, seen(known, run)) == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_that_somebody_cancels_on_its_cluster_is_canceled(begun: bool) -> None:
    (action,) = plan(NOW, seen(active(begun=begun), replace(KILLED, canceled=True, guessed=True)))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (CANCELED, TrainingStatus.CANCELED)


@pytest.mark.parametrize(
    ("changes", "canceled"),
    [
        ({"outcome": LOST, "missing_at": NOW}, True),
        ({"outcome": AttemptOutcome.REFUSED}, True),
        ({"outcome": LOST}, False),
    ],
)
def test_the_run_that_a_launch_replaces_is_canceled_unless_its_end_was_seen(
    changes: dict[str, Any], canceled: bool
) -> None:
    training = active()
    last = training.attempts[0].model_copy(update=changes)
    training = training.model_copy(update={"status": TrainingStatus.NEW, "attempts": [last]})
    snapshot = Snapshot([training], clusters={"local": Capacity(1, 1)}, configured=frozenset({"local"}))
    (launch,) = plan(later(3600), snapshot)
    assert isinstance(launch, Launch)
    assert launch.replaces == (last if canceled else None)
    (elsewhere,) = plan(later(3600), Snapshot([training], clusters={"local": Capacity(1, 1)}))
    assert isinstance(elsewhere, Launch)
    assert elsewhere.replaces is None  # its cluster is in the settings no more


def test_a_cluster_that_is_gone_from_the_settings_has_lost_its_runs() -> None:
    training = active()
    (action,) = plan(NOW, seen(training, BUSY, configured=frozenset({"other"})))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (LOST, TrainingStatus.NEW)
    assert "local is no longer in MITORCH_CLUSTERS" in action.reason


def test_a_training_that_is_lost_too_often_fails_and_the_reason_says_so() -> None:
    often = [LOST] * (MAX_LOST_ATTEMPTS - 1)
    (action,) = plan(NOW, seen(active(often), KILLED))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (LOST, TrainingStatus.FAILED)
    assert action.reason == "lost 3 times, which is the limit; the last time: it was killed by SIGKILL"


@pytest.mark.parametrize(
    "run",
    [
        RunStatus(RunState.FAILED, "the image cannot be built", 1),
        RunStatus(RunState.FAILED, "the image cannot be built"),
        RunStatus(RunState.KILLED, "the image cannot be built", guessed=True),
        RunStatus(RunState.SUCCEEDED, "the image cannot be built", 0),
        RunStatus(RunState.FAILED, "exit code 1", 1, guessed=True, message="the image cannot be built"),
    ],
)
def test_a_run_that_ends_before_our_process_began_is_its_clusters_fault(run: RunStatus) -> None:
    training = active([LOST, LOST], begun=False)
    (action,) = plan(NOW, seen(training, run))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (AttemptOutcome.BLOCKED, TrainingStatus.NEW)
    assert action.reason.endswith("before its process could report itself: the image cannot be built")


def test_a_process_that_is_killed_before_it_reports_is_lost() -> None:
    (action,) = plan(NOW, seen(active(begun=False), KILLED))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.preempted) == (LOST, False)


@pytest.mark.parametrize(("run", "low_priority"), [(KILLED, True), (RunStatus(RunState.KILLED, preempted=True), False)])
def test_a_run_that_its_cluster_took_away_is_preempted(run: RunStatus, low_priority: bool) -> None:
    facts = {"local": Cluster("local", low_priority=low_priority)}
    (action,) = plan(NOW, seen(active([LOST, LOST]), run, facts=facts))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status, action.preempted) == (LOST, TrainingStatus.NEW, True)


@pytest.mark.parametrize(
    ("ended", "budget_from"),
    [([FAILED, FAILED, LOST], 0), ([LOST] * 5, 5), ([LOST, LOST, CANCELED, LOST], 2)],
)
def test_other_ends_and_those_before_a_retry_do_not_count(ended: list[AttemptOutcome], budget_from: int) -> None:
    (action,) = plan(NOW, seen(active(ended, budget_from=budget_from), KILLED))
    assert isinstance(action, EndAttempt)
    assert action.status == TrainingStatus.NEW


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (RunStatus(RunState.FAILED, "it ended with exit code 1", 1), "it ended with exit code 1"),
        (RunStatus(RunState.SUCCEEDED, exit_code=0), "it ended with exit code 0, but without writing a result"),
    ],
)
def test_a_run_that_ended_without_a_word_has_failed(run: RunStatus, reason: str) -> None:
    training = active()
    (action,) = plan(NOW, seen(training, run))
    assert action == EndAttempt(training.id, training.attempts[0], FAILED, TrainingStatus.FAILED, reason)


@pytest.mark.parametrize(
    ("ended", "max_retries", "status"),
    [
        ([], 1, TrainingStatus.NEW),
        ([FAILED], 1, TrainingStatus.FAILED),
        ([FAILED, LOST], 2, TrainingStatus.NEW),
        ([LOST, LOST], 1, TrainingStatus.NEW),
    ],
)
def test_a_failed_run_is_tried_again_as_often_as_its_config_allows(
    ended: list[AttemptOutcome], max_retries: int, status: TrainingStatus
) -> None:
    run = RunStatus(RunState.FAILED, "it ended with exit code 1", 1)
    (action,) = plan(NOW, seen(active(ended, max_retries=max_retries), run))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (FAILED, status)


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN])
def test_a_run_that_goes_on_is_asked_to_stop_where_a_person_wants_it(state: RunState) -> None:
    training = active(cancel_requested_at=NOW)
    assert plan(NOW, seen(training, RunStatus(state))) == [CancelRun(training.id, training.attempts[0])]


@pytest.mark.parametrize(
    ("run", "submitted"),
    [
        (None, False),
        (None, True),
        (KILLED, True),
        (RunStatus(RunState.FAILED, "it ended with exit code 1", 1), True),
        (RunStatus(RunState.FAILED, "no database", EXIT_INFRASTRUCTURE), True),
        (RunStatus(RunState.SUCCEEDED, exit_code=0), True),
    ],
)
def test_a_run_that_is_over_is_canceled_where_a_person_wanted_it(run: RunStatus | None, submitted: bool) -> None:
    training = active([LOST, LOST], submitted, cancel_requested_at=NOW, max_retries=9)
    (action,) = plan(NOW, seen(training, run))
    assert isinstance(action, EndAttempt)
    assert (action.outcome, action.status) == (CANCELED, TrainingStatus.CANCELED)


def test_a_canceled_training_does_not_wait_for_a_cluster_that_is_gone() -> None:
    training = active(cancel_requested_at=NOW)
    (action,) = plan(NOW, seen(training, BUSY, configured=frozenset({"other"})))
    assert isinstance(action, EndAttempt)
    assert action.status == TrainingStatus.CANCELED


def test_the_same_snapshot_gives_the_same_plan_and_is_not_changed() -> None:
    trainings = [active(), active(submitted=False), active(cancel_requested_at=NOW)]
    runs = {training.attempts[0].run_name: run for training, run in zip(trainings, (KILLED, None, BUSY), strict=True)}
    snapshot = Snapshot(
        [a_training() for _ in range(4)], trainings, runs, {"local": Capacity(6, 5)}, frozenset({"local"})
    )
    before = repr(snapshot)
    first = plan(NOW, snapshot)
    assert first == plan(NOW, snapshot)
    assert [type(action) for action in first] == [EndAttempt, Submit, CancelRun, Launch, Launch, Launch]
    assert repr(snapshot) == before

"""Why a training waits, told by the plan itself; and what became of the others."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.actions import Launch
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.insights.waiting.why import Why, explain, why_job, why_training
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Progress, Resources, Training, TrainingErrorInfo, TrainingRow, run_name
from mitorch_service.placement_settings.policy import FairShare, Policy
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.job_states import a_job_state
from tests.samples import NOW, a_job, a_training, a_trial, an_attempt, later

FACTS = {"cpu": Cluster("cpu", gpus=0), "gpu-east": Cluster("gpu-east", gpus=4)}


def asked(training: Training, ahead: int = 0, queue: list[TrainingRow] | None = None, **seen: Any) -> Why:
    """Why, in a pass that sees an idle CPU cluster and a full GPU cluster."""
    clusters = {"cpu": Capacity(2, 2), "gpu-east": Capacity(4, 0)}
    values = {"queue": [training] if queue is None else queue, "clusters": clusters, "facts": FACTS, **seen}
    return why_training(NOW, training, Snapshot(**values), ahead)


def test_a_waiting_training_is_told_its_place_and_what_each_cluster_lacks() -> None:
    why = asked(a_training(resources=Resources(gpus=1)), ahead=2)
    assert why.reasons == ["3rd in the queue (priority 100)"]
    assert why.clusters == {"cpu": "has 0 GPUs a node, 1 needed", "gpu-east": "0 of 4 nodes free, 1 needed"}


def test_those_before_it_take_what_is_free() -> None:
    first, second, mine = a_training(), a_training(), a_training()
    why = asked(mine, ahead=2, queue=[mine, second, first])
    assert why.clusters == {"cpu": "0 of 2 nodes free, 1 needed", "gpu-east": "0 of 4 nodes free, 1 needed"}


def test_nodes_that_are_kept_for_another_are_told() -> None:
    big, mine = a_training(resources=Resources(nodes=3)), a_training()
    clusters = {"gpu-east": Capacity(4, 2)}
    why = asked(mine, ahead=1, queue=[big, mine], clusters=clusters)
    assert f"reserved for training {big.id[:8]}" in why.clusters["gpu-east"]


def test_one_that_starts_next_waits_for_nothing_but_the_controller() -> None:
    why = asked(a_training())
    assert why.clusters == {}
    assert why.reasons[-1] == "nothing: the next pass of the controller starts it; run micontrol"


def test_the_answer_is_the_plan() -> None:
    """Whoever is launched waits for nothing, whoever is not is told why."""
    queue: list[TrainingRow] = [
        a_training(resources=resources)
        for resources in (Resources(gpus=1), None, Resources(nodes=2), Resources(gpus=8), None, Resources(nodes=9))
    ]
    clusters = {"cpu": Capacity(2, 2), "gpu-east": Capacity(4, 2)}
    snapshot = Snapshot(queue=queue, clusters=clusters, facts=FACTS)
    launched = {action.training_id for action in plan(NOW, snapshot) if isinstance(action, Launch)}
    waiting = {r.id for r in queue if isinstance(r, Training) and why_training(NOW, r, snapshot, 0).clusters}
    assert launched | waiting == {row.id for row in queue}
    assert launched & waiting == set()
    assert len(launched) == 3


def test_one_that_is_too_far_behind_is_told_how_far_a_pass_looks() -> None:
    why = asked(a_training(), ahead=5000, queue=[a_training() for _ in range(3)])
    assert why.reasons == [
        "5001st in the queue (priority 100)",
        "a pass looks at the first 3 only, which are before it",
    ]
    assert why.clusters["cpu"] == "0 of 2 nodes free, 1 needed"


@pytest.mark.parametrize(
    ("place", "said"),
    [(1, "1st"), (2, "2nd"), (4, "4th"), (11, "11th"), (12, "12th"), (113, "113th"), (1021, "1021st")],
)
def test_places_are_counted_in_words(place: int, said: str) -> None:
    assert asked(a_training(), ahead=place - 1).reasons[0].startswith(f"{said} in the queue")


def test_one_whose_last_attempt_was_lost_is_told_so() -> None:
    training = a_training(attempt=1)
    attempt = an_attempt(training).model_copy(update={"outcome": AttemptOutcome.LOST, "reason": "preempted"})
    why = asked(training.model_copy(update={"attempts": [attempt]}))
    assert why.reasons[1] == "its attempt 1 ended: preempted; it is tried again"


def test_a_trial_of_a_job_that_has_spent_its_budget_is_told_so() -> None:
    job = a_job(search=SearchConfig(max_trials=9, max_cost=2))
    why = asked(a_trial(job.id, 3), jobs=[a_job_state(job, {}, 2, None, cost=2.5)])
    assert why.reasons[1] == "the budget of its job (search.max_cost) is spent: the next pass cancels it"


def active(status: TrainingStatus, **fields: Any) -> Training:
    """A training on a cluster."""
    attempt = an_attempt(a_training(), cluster="gpu-east").model_copy(update=fields.pop("of_attempt", {}))
    return a_training(status=status, attempt=1, attempts=[attempt], **fields)


QUEUED, RUNNING = TrainingStatus.QUEUED, TrainingStatus.RUNNING
STARTED = {"submitted_at": NOW, "started_at": NOW, "url": "https://ml.example/1"}


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (active(QUEUED), ["it was assigned to gpu-east, which has not accepted it yet: the next pass asks again"]),
        (
            active(QUEUED, of_attempt={"submitted_at": NOW}),
            ["gpu-east has had its run since 2026-11-20 12:30:15 UTC, but it has not reported its start yet"],
        ),
        (
            active(
                RUNNING, of_attempt=STARTED, progress=Progress(epoch=3, max_epochs=9, at=NOW), cancel_requested_at=NOW
            ),
            [
                "it has been running on gpu-east (https://ml.example/1) since 2026-11-20 12:30:15 UTC, 3/9 epochs done",
                "it was asked to stop",
            ],
        ),
        (
            a_training(
                status=TrainingStatus.FAILED,
                status_times={"failed": later(60)},
                error=TrainingErrorInfo(type="DataError", message="no such file"),
            ),
            ["it failed on 2026-11-20 12:31:15 UTC: no such file"],
        ),
        (
            a_training(status=TrainingStatus.CANCELED, status_times={"canceled": NOW}),
            ["it was canceled on 2026-11-20 12:30:15 UTC"],
        ),
        (a_training(status=TrainingStatus.COMPLETED, status_times={}), ["it was completed"]),
        (active(TrainingStatus.DIVERGED, of_attempt={"reason": "a loss of nan"}), ["it diverged: a loss of nan"]),
    ],
)
def test_the_others_are_told_where_they_are(training: Training, said: list[str]) -> None:
    assert why_training(NOW, training, Snapshot(), 0) == Why(training.id, training.status, said)


@pytest.mark.parametrize(
    ("search", "counts", "cost", "said"),
    [
        ({"max_trials": 9, "max_concurrent": 2}, {"running": 2}, 0, "search.max_concurrent allows 2 at a time"),
        ({"max_trials": 9, "max_cost": 2}, {"running": 1}, 2.5, "(search.max_cost) of 2.00 is spent: 2.50 so far"),
        ({"max_trials": 3}, {"new": 1}, 0, "all are created"),
        ({"max_trials": 9, "max_concurrent": 2}, {"running": 1}, 0, "the next pass of the controller creates more"),
    ],
)
def test_a_job_is_told_why_it_gets_no_more_trials(
    search: dict[str, Any], counts: dict[str, int], cost: float, said: str
) -> None:
    job = a_job(search=SearchConfig(**search))
    reasons = why_job(a_job_state(job, counts, 2, None, cost=cost)).reasons
    assert reasons[0].startswith(f"3 of {search['max_trials']} trials created, ")
    assert said in reasons[1]


def test_a_training_or_job_is_named_by_its_name_too(store: Store) -> None:
    failed = a_training(name="first", status=TrainingStatus.FAILED)
    store.queue.add_trainings([failed])
    assert explain(store, Controller(store, {}, ()), "first", NOW)[1].id == failed.id


def test_where_shares_decide_the_place_is_that_of_their_turns(store: Store) -> None:
    """However many trainings of others are before it by age, and though no node is free."""
    many = [a_training(submitted_by="amy") for _ in range(60)]
    store.queue.add_trainings([*many, mine := a_training(submitted_by="bob")])
    controller = Controller(store, {}, (), policy=Policy(fair_share=FairShare(by="user")))
    places = [explain(store, controller, row.id, NOW)[1].reasons[0] for row in (mine, many[1], many[59])]
    assert places == [
        "2nd to be served (priority 100; 61st by priority and age)",
        "3rd to be served (priority 100; 2nd by priority and age)",
        "not among the first 50 to be served (priority 100; 60th by priority and age)",
    ]


def test_the_clusters_own_words_for_a_run_are_told(store: Store) -> None:
    store.queue.add_trainings([training := a_training()])
    store.queue.claim_training(training.id, an_attempt(training, cluster="azure"))
    backend, name = FakeBackend("azure"), run_name(training.id, 1)
    controller = Controller(store, {"azure": backend}, ())
    assert "azure says" not in str(explain(store, controller, training.id, NOW)[1].reasons)
    backend.runs[name] = RunStatus(RunState.PENDING, word="Preparing (it builds the image)", since=NOW)
    told = "azure says of its run: Preparing (it builds the image) since 2026-11-20 12:30:15 UTC"
    assert explain(store, controller, training.id, NOW)[1].reasons[-1] == told
    del backend.runs[name]
    store.queue.note_missing(training.id, 1, NOW)
    told = "azure does not know its run since 2026-11-20 12:30:15 UTC"
    assert explain(store, controller, training.id, NOW)[1].reasons[-1] == told
    backend.down = True
    assert explain(store, controller, training.id, NOW)[1].reasons[-1] == told

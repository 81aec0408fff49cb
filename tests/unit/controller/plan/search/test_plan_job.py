"""The plan of one pass for jobs: create trials, launch them, end the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.plan.actions import Action, AddTrials, CancelTraining, FinishJob, Launch, UpdateJob
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.search.expansion import TRIALS_A_PASS
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.search.job import BestTrial, Job, SearchConfig, trial_id
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import Training
from tests.job_states import a_job_state
from tests.samples import NOW, SPACE, a_job, a_training, a_trial

BEST = BestTrial(training_id="d0c5", number=0, value=0.5, parameters={"lr": 0.1})
NAN = float("nan")


def job_with(**search: Any) -> Job:
    """A job that searches so."""
    return a_job(search=SearchConfig(**{"max_trials": 4, "seed": 0, **search}))


def planned(
    job: Job, counts: Mapping[str, int] = {}, last: int | None = None, best: BestTrial | None = None, **more: Any
) -> list[Action]:
    """The actions of a pass that sees only this job."""
    return plan(NOW, Snapshot(jobs=[a_job_state(job, counts, last, best, **more)]))


def trials(actions: Sequence[Action]) -> list[Training]:
    """The trials that are created."""
    return [trial for action in actions if isinstance(action, AddTrials) for trial in action.trainings]


def test_a_new_job_becomes_all_its_trials_in_its_place_of_the_queue() -> None:
    job = a_job(priority=7, name="search", tags=["a=b"])
    created = trials(planned(job))
    assert [trial.trial.number for trial in created if trial.trial] == [0, 1, 2, 3]
    assert [trial.arrival for trial in created] == [job.arrival + number for number in range(4)]
    for trial in created:
        assert (trial.job_id, trial.priority, trial.name, trial.tags) == (job.id, 7, "search", ["a=b"])
        assert (trial.dataset, trial.max_epochs, trial.created_at) == (job.dataset, 3, NOW)
        assert trial.trial is not None
        assert (trial.trial.objective, trial.trial.direction) == ("val_loss", "minimize")
        drawn = trial.trial.parameters["lr_scheduler.base_lr"]
        assert trial.config["lr_scheduler"] == {"name": "cosine", "base_lr": drawn}


@pytest.mark.parametrize(
    ("limit", "open_count", "last", "numbers"),
    [
        (None, 0, None, [0, 1, 2, 3]),
        (2, 0, None, [0, 1]),
        (2, 1, 1, [2]),
        (2, 2, 1, []),
        (9, 1, 2, [3]),
        (2, 0, 2, [3]),
        (1, 3, 1, []),
    ],
)
def test_no_more_trials_are_open_at_a_time_than_the_job_allows(
    limit: int | None, open_count: int, last: int | None, numbers: list[int]
) -> None:
    created = trials(planned(job_with(max_concurrent=limit), {"queued": open_count}, last))
    assert [trial.trial.number for trial in created if trial.trial] == numbers


def test_a_big_job_is_created_over_several_passes_with_the_trials_of_one_pass() -> None:
    job = job_with(algorithm="random", max_trials=TRIALS_A_PASS + 30)
    first = trials(planned(job))
    second = trials(planned(job, {"new": len(first)}, len(first) - 1))
    assert (len(first), len(second)) == (TRIALS_A_PASS, 30)
    single = [trial for last in range(-1, 9) for trial in trials(planned(job, last=last if last >= 0 else None))[:1]]
    assert [trial.model_dump() for trial in single] == [trial.model_dump() for trial in first[:10]]


def test_trials_are_known_by_their_job_and_number() -> None:
    job = a_job()
    assert [trial.id for trial in trials(planned(job))] == [trial_id(job.id, number) for number in range(4)]
    assert {trial.id for trial in trials(planned(job))}.isdisjoint(trial.id for trial in trials(planned(a_job())))


def test_new_trials_are_launched_in_the_pass_that_creates_them_in_the_order_of_the_queue() -> None:
    urgent, later, job = a_training(priority=1), a_training(priority=101), a_job()
    snapshot = Snapshot([urgent, later], clusters={"local": Capacity(4, 4)}, jobs=[a_job_state(job)])
    actions = plan(NOW, snapshot)
    assert isinstance(actions[0], AddTrials)  # before anything of it is launched
    launched = [action.training_id for action in actions if isinstance(action, Launch)]
    assert launched == [urgent.id, *(trial_id(job.id, number) for number in range(3))]


def test_what_has_changed_is_shown_and_what_has_not_is_left() -> None:
    counts = {"running": 4}
    job = a_job()
    assert planned(job, counts, 3, BEST) == [UpdateJob(job.id, counts, BEST)]
    shown = job.model_copy(update={"counts": counts, "best": BEST})
    assert planned(shown, counts, 3, BEST) == []


def test_a_job_is_completed_when_all_trials_have_ended_and_one_is_best() -> None:
    job, counts = a_job(), {"completed": 3, "diverged": 1}
    assert planned(job, counts, 3, BEST) == [FinishJob(job.id, JobStatus.COMPLETED, None, counts, BEST)]


def test_a_job_whose_trials_gave_nothing_has_failed() -> None:
    job, counts = a_job(), {"failed": 3, "canceled": 1}
    why = "no trial gave a finite val_loss"
    assert planned(job, counts, 3) == [FinishJob(job.id, JobStatus.FAILED, why, counts, None)]


@pytest.mark.parametrize("status", ["new", "queued", "running"])
def test_a_job_waits_for_its_last_trial(status: str) -> None:
    actions = planned(a_job(), {"completed": 3, status: 1}, 3, BEST)
    assert not [action for action in actions if isinstance(action, FinishJob)]


def test_a_job_whose_trials_all_ended_goes_on_with_the_next() -> None:
    assert len(trials(planned(job_with(max_concurrent=1), {"completed": 2}, 1, BEST))) == 1


@pytest.mark.parametrize("counts", [{"failed": 2}, {"diverged": 2}, {"failed": 1, "diverged": 1, "completed": 1}])
def test_too_many_failed_trials_end_a_job(counts: dict[str, int]) -> None:
    job = job_with(max_failed=1)
    actions = planned(job, counts, 2, BEST)
    why = "2 trials failed, more than search.max_failed allows (1)"
    assert actions[-1] == FinishJob(job.id, JobStatus.FAILED, why, counts, BEST)
    assert not trials(actions)


def test_as_many_failed_trials_as_allowed_do_not_end_a_job() -> None:
    assert trials(planned(job_with(max_failed=1), {"failed": 1}, 0))
    assert trials(planned(job_with(max_failed=None), {"failed": 3}, 2))


@pytest.mark.parametrize("fields", [{"cancel_requested_at": NOW}, {"search": SearchConfig(max_trials=9, max_failed=0)}])
def test_a_job_that_winds_up_cancels_its_open_trials_once_and_creates_none(fields: dict[str, Any]) -> None:
    job = a_job(**fields)
    fresh, asked = a_trial(job.id, 1), a_trial(job.id, 2, cancel_requested_at=NOW)
    actions = planned(job, {"failed": 1, "new": 1, "running": 1}, 2, open_trials=[fresh, asked])
    assert actions == [CancelTraining(fresh.id)]


def test_a_job_that_has_spent_its_budget_launches_no_trial_that_has_not_begun() -> None:
    job = job_with(max_cost=2)
    waiting, again = a_trial(job.id, 1), a_trial(job.id, 2, attempt=1)
    state = a_job_state(job, {"new": 2}, 2, None, open_trials=[waiting, again], cost=2.0)
    snapshot = Snapshot([waiting, again], clusters={"local": Capacity(4, 4)}, jobs=[state])
    actions = plan(NOW, snapshot)
    assert not trials(actions)
    assert [action.training_id for action in actions if isinstance(action, CancelTraining)] == [waiting.id]
    assert [action.training_id for action in actions if isinstance(action, Launch)] == [again.id]


def test_a_job_that_has_spent_its_budget_for_nothing_has_failed() -> None:
    job = job_with(max_cost=2)
    ended = planned(job, {"failed": 1}, 0, cost=2.5)[-1]
    assert isinstance(ended, FinishJob)
    assert (ended.status, ended.error) == (JobStatus.FAILED, "no trial gave a finite val_loss")


def test_a_canceled_job_ends_when_its_last_trial_has() -> None:
    job, counts = a_job(cancel_requested_at=NOW), {"canceled": 2, "completed": 1}
    assert planned(job, counts, 2, BEST) == [FinishJob(job.id, JobStatus.CANCELED, None, counts, BEST)]


def test_a_job_that_is_canceled_before_its_first_trial_has_none() -> None:
    job = a_job(cancel_requested_at=NOW)
    assert planned(job) == [FinishJob(job.id, JobStatus.CANCELED, None, {}, None)]


BROKEN: dict[str, dict[str, Any]] = {
    "unknown expression": {**SPACE, "batch_size": {"_set": [1, 2]}},
    "no options": {**SPACE, "batch_size": {"_choice": []}},
    "not a number": {**SPACE, "batch_size": {"_uniform": [0, NAN]}},
    "beyond all numbers": {**SPACE, "batch_size": {"_int": [0, 10**400]}},
    "epochs in words": {**SPACE, "max_epochs": "many"},
    "no epochs": {**SPACE, "max_epochs": None},
}


@pytest.mark.parametrize("config", BROKEN.values(), ids=BROKEN)
def test_a_job_that_cannot_be_expanded_fails_and_stops_nothing_else(config: dict[str, Any]) -> None:
    broken, good, waiting = a_job(config=config), a_job(), a_training(priority=1)
    states = [a_job_state(job) for job in (broken, good)]
    actions = plan(NOW, Snapshot([waiting], clusters={"local": Capacity(1, 1)}, jobs=states))
    ended, added, launch = actions
    assert isinstance(ended, FinishJob)
    assert (ended.job_id, ended.status) == (broken.id, JobStatus.FAILED)
    assert (ended.error or "").startswith("its search space cannot be used: ")
    assert isinstance(added, AddTrials)
    assert added.job_id == good.id
    assert isinstance(launch, Launch)
    assert launch.training_id == waiting.id


def test_a_job_with_an_id_that_is_none_fails() -> None:
    job = a_job(id="my job")
    (ended,) = planned(job)
    assert isinstance(ended, FinishJob)
    assert ended.status == JobStatus.FAILED

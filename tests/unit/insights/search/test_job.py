"""The job report and its leaderboard or Pareto front."""

from __future__ import annotations

from typing import Any

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.search.job import Best, read_job
from mitorch_service.insights.search.jobs import read_jobs
from mitorch_service.insights.search.leaderboard import (
    Unranked,
    iterate_leaders,
    parameter_names,
    read_front,
    read_leaderboard,
    read_unranked,
)
from mitorch_service.models.search.job import BestTrial, Job, SearchConfig
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Progress, TrainingErrorInfo, Trial
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_training, a_trial, an_attempt, later

SPACE: dict[str, Any] = {"lr": {"_uniform": [0, 1]}, "max_epochs": 10}


def completed(store: Store, job: Job, number: int, values: list[float], **parameters: Any) -> str:
    """A completed trial of ten epochs that took an hour of a node; returns its id."""
    one = values[0] if len(values) == 1 else None
    trial = Trial(
        number=number,
        parameters=parameters,
        objective="val_loss",
        direction="minimize",
        value=one,
        values=[] if len(values) == 1 else values,
        objectives=[] if len(values) == 1 else ["val_loss", "f1"],
    )
    training = a_training(
        job_id=job.id,
        trial=trial,
        status=TrainingStatus.COMPLETED,
        max_epochs=10,
        progress=Progress(epoch=10, max_epochs=10, at=NOW),
    )
    attempt = an_attempt(training).model_copy(update={"started_at": NOW, "ended_at": later(3600), "price": 0.5})
    primitives(store).insert(
        "trainings", [{**training.to_document(), "attempts": [attempt.to_document()], "attempt": 1}]
    )
    return training.id


def test_a_job_is_read_with_counts_best_trial_and_cost(store: Store) -> None:
    job = a_job(config=SPACE, search=SearchConfig(max_trials=5, seed=0))
    store.jobs.add_job(job)
    worse = completed(store, job, 0, [0.5], lr=0.1)
    better = completed(store, job, 1, [0.25], lr=0.2, momentum=0.9)
    report = read_job(store, job.id, later(7200))
    assert (report.counts, report.best, report.cost) == ({"completed": 2}, Best(0.25, better), Cost(2.0, 1.0))
    assert (report.effort.epochs, report.warnings, report.final, report.has_front) == (20, [], None, False)
    standings = read_leaderboard(store, job, 5)
    assert [(one.values, one.number, one.training_id, one.epochs) for one in standings] == [
        ([0.25], 1, better, 10),
        ([0.5], 0, worse, 10),
    ]
    assert parameter_names(standings) == ["lr", "momentum"]
    assert [row.id for row in iterate_leaders(store, job, 1)] == [better]


def test_the_noted_best_trial_is_shown_when_its_training_is_gone(store: Store) -> None:
    best = BestTrial(training_id="gone", number=3, value=0.125, parameters={})
    job = a_job(config=SPACE, search=SearchConfig(max_trials=5, seed=0), best=best)
    store.jobs.add_job(job)
    assert read_job(store, job.id, NOW).best == Best(0.125, "gone")


def test_several_objectives_have_a_front(store: Store) -> None:
    search = SearchConfig(max_trials=5, seed=0, objective=["val_loss", "f1"])
    job = a_job(config=SPACE, search=search)
    store.jobs.add_job(job)
    first = completed(store, job, 0, [0.5, 0.9], lr=0.1)
    completed(store, job, 1, [0.6, 0.8], lr=0.2)  # worse in both
    second = completed(store, job, 2, [0.25, 0.5], lr=0.3)
    front = read_front(store, job, 1)
    assert [trial.training_id for trial in front.trials] == [second, first]
    (standing,) = front.standings(1)
    assert (standing.values, standing.training_id, standing.epochs) == ([0.25, 0.5], second, 10)
    report = read_job(store, job.id, NOW)
    assert (report.best, report.has_front) == (None, True)


def test_trials_without_a_final_value_are_told_with_the_reason_in_its_own_words(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    completed(store, job, 0, [0.5], lr=0.1)
    failed = a_trial(
        job.id, 1, status=TrainingStatus.FAILED, error=TrainingErrorInfo(type="X", message="out of memory")
    )
    pruned = a_trial(job.id, 2, status=TrainingStatus.PRUNED, progress=Progress(epoch=3, max_epochs=10, at=NOW))
    assert pruned.trial is not None
    stopped = pruned.trial.model_copy(update={"curve": {"1": 0.9, "10": 0.7, "3": 0.8}})
    store.queue.add_trainings([failed, pruned.model_copy(update={"trial": stopped})])
    found = read_unranked(store, job, 10)
    assert found == [
        Unranked(2, pruned.id, TrainingStatus.PRUNED, 3, 0.7, None, {"lr": 0.1}),
        Unranked(1, failed.id, TrainingStatus.FAILED, 0, None, "out of memory", {"lr": 0.1}),
    ]
    assert read_unranked(store, job, 1) == found[:1]


def test_jobs_are_listed_active_ones_by_priority_then_the_newest(store: Store) -> None:
    jobs = [
        a_job(status=status, priority=priority, name=name)
        for status, priority, name in [
            ("running", 100, "a"),
            ("completed", 1, "b"),
            ("new", 50, "a"),
            ("failed", 1, "a"),
        ]
    ]
    for job in jobs:
        store.jobs.add_job(job)
    assert [job.id for job in read_jobs(store, 10).items] == [jobs[index].id for index in (2, 0, 3, 1)]
    assert [job.id for job in read_jobs(store, 10, "a").items] == [jobs[index].id for index in (2, 0, 3)]
    assert [job.id for job in read_jobs(store, 1).items] == [jobs[2].id]

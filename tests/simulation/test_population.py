"""Population based training, whole; the one with the most that goes wrong on both databases."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import NotAllowed
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.operations.lifecycle import retry_job, retry_training
from mitorch_service.stores.base import Store
from tests.samples import SPACE, a_job, later
from tests.simulation.simulated_search import SimulatedSearch

MAX_EPOCHS = 6
SEEDS = [*(("sqlite", seed) for seed in range(2)), pytest.param("mongo", 0, marks=pytest.mark.long)]
JOB_ID = "0b7f3b54-6f5c-4c0e-9a3e-3f0a1c2d4e5f"


def job_with(**search: Any) -> Job:
    """A population of eight that is compared after epochs 2 and 4."""
    values = {"algorithm": "pbt", "max_trials": 8, "seed": 0, "max_concurrent": 3, "population": {"step": 2}, **search}
    config = {**SPACE, "max_epochs": MAX_EPOCHS}
    return a_job(id=JOB_ID, config=config, search=SearchConfig.model_validate(values))


def loss(training: Training, epoch: int) -> float:
    """As far from a good learning rate as it is."""
    rate: float = training.config["lr_scheduler"]["base_lr"]
    return abs(rate - 0.01) + 1 / epoch


def lineages(search: SimulatedSearch) -> list[Any]:
    """Everything that a population decides."""
    return [(row.trial.parameters, row.trial.lineage, row.trial.value) for row in search.rows() if row.trial]


def test_the_worst_quarter_goes_on_from_the_best_after_each_step(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss, slots=3)
    job = search.finish()
    assert job.status == JobStatus.COMPLETED
    assert dict(search.epochs) == dict.fromkeys(range(8), MAX_EPOCHS)
    assert all(search.curve(row) == list(range(1, MAX_EPOCHS + 1)) for row in search.rows())
    edges = [(one, row) for row in search.rows() for one in (row.trial.lineage if row.trial else None) or ()]
    assert sorted(one.epoch for one, _ in edges) == [2, 2, 4, 4]
    for one, row in edges:
        training = store.trainings.get_training(row.id)
        assert one.parent == search.rows()[one.parent_number].id != row.id
        assert one.before != one.after
        if one == row.trial.lineage[-1]:  # type: ignore[union-attr,index]
            assert row.trial is not None
            assert row.trial.parameters == one.after
            assert training.config["lr_scheduler"]["base_lr"] == one.after["lr_scheduler.base_lr"]
            assert "dataset" not in training.config
    assert job.best is not None
    assert job.best.value == min(row.trial.value or 9 for row in search.rows() if row.trial)
    assert search.states() == []


@pytest.mark.parametrize(("database", "seed"), SEEDS, indirect=["database"])
def test_passes_and_runs_that_die_change_no_decision(store: Store, tmp_path: Path, seed: int) -> None:
    calm = SimulatedSearch(store, tmp_path / "calm", job_with(), loss, slots=3)
    calm.finish()
    expected = lineages(calm)
    for row in calm.rows():
        store.queue.delete_training(row.id)
    store.jobs.delete_job(JOB_ID)
    search = SimulatedSearch(store, tmp_path / "wild", job_with(), loss, slots=3, chance=random.Random(seed))
    assert search.finish().status == JobStatus.COMPLETED
    if all(row.status == TrainingStatus.COMPLETED for row in search.rows()):  # none was lost too often
        assert lineages(search) == expected
    assert max(search.begun.values()) == 1
    assert search.states() == []


def test_a_member_that_diverges_is_replaced(store: Store, tmp_path: Path) -> None:
    def diverging(training: Training, epoch: int) -> float:
        lost = epoch == 1 and training.trial is not None and training.trial.number in (1, 2, 3, 4)
        return float("nan") if lost else loss(training, epoch)

    search = SimulatedSearch(store, tmp_path, job_with(), diverging, slots=8)
    job = search.finish(per_round=8)
    assert job.status == JobStatus.COMPLETED
    assert job.counts == {"completed": 8}
    replaced = [row.trial.number for row in search.rows() if row.trial and _exploited_at(row.trial.lineage, 2)]
    assert replaced == [1, 2, 3, 4]


def test_without_any_good_member_it_fails(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), lambda training, epoch: float("nan"), slots=8)
    job = search.finish(per_round=8)
    assert (job.status, job.error) == (JobStatus.FAILED, "no trial gave a finite val_loss")


def test_too_many_that_fail_at_one_time_end_it(store: Store, tmp_path: Path) -> None:
    def diverging(training: Training, epoch: int) -> float:
        return float("nan") if training.trial is not None and training.trial.number < 4 else 1.0

    search = SimulatedSearch(store, tmp_path, job_with(max_failed=2), diverging, slots=8)
    job = search.finish(per_round=8)
    assert job.status == JobStatus.FAILED
    assert "more than search.max_failed allows (2)" in (job.error or "")
    assert search.states() == []


def test_when_its_time_is_over_only_the_best_member_goes_on(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_time=2, max_concurrent=8), loss, slots=8)
    job = search.finish(per_round=8)
    assert job.status == JobStatus.COMPLETED
    assert sorted(search.epochs.values()) == [2] * 7 + [MAX_EPOCHS]


def test_nobody_retries_a_member_while_the_population_lives(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss)
    search.round()
    search.live()
    paused = next(row for row in search.rows() if row.is_paused())
    with pytest.raises(NotAllowed, match="Its job resumes or replaces it"):
        retry_training(store, paused.id, later(50))
    with pytest.raises(NotAllowed, match="It replaces lost members itself"):
        retry_job(store, JOB_ID, later(50))


def _exploited_at(lineage: Any, epoch: int) -> bool:
    return any(one.epoch == epoch for one in lineage or ())

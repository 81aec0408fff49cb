"""Checks at the end of a history, when nothing happens any more."""

from __future__ import annotations

from collections import Counter

from mitorch_service.models.search.job import trial_id
from mitorch_service.models.status import ENDED, ENDED_JOBS, TrainingStatus
from mitorch_service.models.training import Training
from tests.simulation.simulated_script import loss
from tests.simulation.world import World


def check_end(world: World) -> None:
    """Raises Violation unless everything has ended and agrees."""
    healthy = [known.id for known in world.witness.trainings.values() if not known.poisoned]
    trainings = {id: world.read(id) for id in healthy}
    for training in trainings.values():
        _check_training(world, training)
    _check_counts(world)
    for id in world.jobs:
        if id not in world.poisoned_jobs:
            _check_job(world, id, trainings)
        elif world.job_status(id) not in ENDED_JOBS:
            raise world.violated(f"job {id}, which cannot be read, has not ended")
    _check_runs(world)


def _check_training(world: World, training: Training) -> None:
    if training.status not in ENDED:
        raise world.violated(f"training {training.id} is {training.status} in the end")
    for attempt in training.attempts:
        times = [attempt.queued_at, attempt.started_at or attempt.queued_at, attempt.ended_at]
        if times[2] is None:
            raise world.violated(f"attempt {attempt.number} of {training.id} has no end")
        if times != sorted(times):  # type: ignore[type-var]
            raise world.violated(f"attempt {attempt.number} of {training.id} ended before it began: {times}")
    if training.status != TrainingStatus.COMPLETED:
        return
    curve = world.store.runs.curve(training.id).items
    expected = {epoch: loss(training, epoch) for epoch in range(1, training.max_epochs + 1)}
    if {result.epoch: result.val_loss for result in curve} != expected:
        raise world.violated(f"training {training.id} is completed with the epochs {[r.epoch for r in curve]}")
    if training.evaluation != {"val_loss": expected[training.max_epochs]}:
        raise world.violated(f"training {training.id} is completed with {training.evaluation}")


def _check_counts(world: World) -> None:
    counted = Counter(known.status for known in world.witness.trainings.values())
    stored = world.store.trainings.count_trainings()
    if dict(counted) != stored:
        raise world.violated(f"the counts are {stored}, but there are {dict(counted)}")


def _check_job(world: World, id: str, trainings: dict[str, Training]) -> None:
    job = world.store.jobs.get_job(id)
    if job.status not in ENDED_JOBS:
        raise world.violated(f"job {id} is {job.status} in the end")
    trials = [training for training in trainings.values() if training.job_id == id]
    numbers = sorted(t.trial.number for t in trials if t.trial)
    if numbers != list(range(len(trials))) or {t.id for t in trials} != {trial_id(id, n) for n in numbers}:
        raise world.violated(f"job {id} has the trials {numbers}")
    counts = Counter(training.status.value for training in trials)
    if counts != Counter(job.counts):
        raise world.violated(f"job {id} ended with {job.counts}, but its trials are {dict(counts)}")
    if job.status == "completed" and job.cancel_requested_at is None and len(trials) < job.search.max_trials:
        raise world.violated(f"job {id} is completed after {len(trials)} trials")


def _check_runs(world: World) -> None:
    for cluster in world.clusters.values():
        for name, times in cluster.starts.items():
            if times > 1:
                raise world.violated(f"run {name} was started {times} times")
    elsewhere = Counter(name for cluster in world.clusters.values() for name in cluster.runs)
    if elsewhere and max(elsewhere.values()) > 1:
        raise world.violated(f"a run exists on both clusters: {elsewhere.most_common(1)}")

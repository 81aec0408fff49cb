"""Trials that run in parts: what a pass asks of those that are paused. What is known of them is read by few indexed
lookups (`observe` of `Promoting` and `Population`), what follows from it is pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.models.job import BestTrial, Job, trial_id
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.samplers.pbt import population_steps
from mitorch_service.search.stopping.promotion import promotion_rungs
from mitorch_service.stores.base import Store
from mitorch_service.stores.rungs import NewCourse, RungRecord


@dataclass(frozen=True)
class ResumeTrial:
    """Put a paused trial back into the queue."""

    job_id: str
    row: TrainingRow
    pause_at: int | None  # where it pauses next
    priority: int  # its job's, which may have changed meanwhile
    record: RungRecord | None = None  # by which it was found
    course: NewCourse | None = None  # of a member of a population that goes on from another one's state


class PausedTrials(ABC):
    """What a pass knows of a job's paused trials."""

    stale: Sequence[RungRecord] = ()  # of trials that do not wait any more

    @abstractmethod
    def go_on(self, most: int) -> list[ResumeTrial]:
        """The trials that go on now, at most so many; they come before new ones."""

    @abstractmethod
    def last(self) -> list[ResumeTrial]:
        """The trial that goes on when nothing runs and nothing else may, so that the search ends with a whole
        training; none where there is one."""


def rungs_of(job: Job) -> list[int]:
    """After which epochs the trials of a job pause, or may; ascending. Empty: each runs in one part."""
    search, max_epochs = job.search, max_epochs_of(job)
    if search.algorithm == "pbt":
        return population_steps(max_epochs, search.population.step)
    if search.resume_promoted and search.early_stopping is not None:
        return promotion_rungs(max_epochs, search.early_stopping.min_epochs, search.early_stopping.factor)
    return []


def max_epochs_of(job: Job) -> int:
    """Of each of its trials; 0 where they differ, or are not known."""
    value = job.config.get("max_epochs")
    return value if isinstance(value, int) else 0


def best_of_rungs(store: Store, job: Job) -> BestTrial | None:
    """As long as no trial has run to its end: the best of the highest rung that has one with a finite value."""
    for epochs in reversed(rungs_of(job)):
        for record in store.rungs.rung_records(job.id, epochs, 1):
            row = store.rungs.rows_among([trial_id(job.id, record.number)]).get(trial_id(job.id, record.number))
            if row is not None and row.trial is not None and math.isfinite(record.loss):
                return BestTrial(
                    training_id=row.id,
                    number=record.number,
                    value=row.trial.curve.get(str(epochs), record.loss),
                    parameters=row.trial.parameters,
                    model=row.artifacts.get("model"),
                )
    return None

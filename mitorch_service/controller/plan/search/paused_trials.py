"""Decides which paused trials of a search are resumed. Pure: observe/paused_trials.py reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.population import MemberReplacement
from mitorch_service.models.search.rung import RungRecord
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.samplers.pbt import population_steps
from mitorch_service.search.stopping.promotion import promotion_rungs


@dataclass(frozen=True)
class ResumeTrial:
    """Put a paused trial back into the queue."""

    job_id: str
    row: TrainingRow
    pause_at: int | None  # the epoch after which it pauses next; None: it runs to its end
    priority: int  # of its job, which may have changed meanwhile
    record: RungRecord | None = None  # the mark by which it was found
    replacement: MemberReplacement | None = None  # of a member that resumes from another member's state


class PausedTrials(ABC):
    """The paused trials of a job."""

    stale: Sequence[RungRecord] = ()  # marks of trials that are paused no more

    @abstractmethod
    def to_resume(self, most: int) -> list[ResumeTrial]:
        """Returns the trials to resume now, at most `most`; they come before new ones."""

    @abstractmethod
    def best_to_resume(self) -> ResumeTrial | None:
        """Returns the trial to resume when nothing runs and nothing else may, so that the search ends with a trial
        that ran to its end; None if there is one already, or none to resume."""


def rungs_of(job: Job) -> list[int]:
    """Returns the epochs after which the trials of a job pause, or may; ascending. Empty: they never do."""
    search, max_epochs = job.search, max_epochs_of(job)
    if search.algorithm == "pbt":
        return population_steps(max_epochs, search.population.step)
    if search.resume_promoted and search.early_stopping is not None:
        return promotion_rungs(max_epochs, search.early_stopping.min_epochs, search.early_stopping.factor)
    return []


def max_epochs_of(job: Job) -> int:
    """Returns the number of epochs of each of its trials; 0 if they differ, or are not known."""
    return epochs_of(job.config)

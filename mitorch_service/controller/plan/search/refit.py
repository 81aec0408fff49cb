"""The final training of a search (`search.refit`): the winner is trained once more, with changes, at the end.

It is no trial: it has no `job_id`, so that no count, leaderboard or sampler sees it. Its id follows from the job's, so
that it is created once. The job ends after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.controller.plan.search.refit_config import refit_config
from mitorch_service.models.new_training import new_training
from mitorch_service.models.search.job import BestTrial, Job, refit_id
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import Refit, Training
from mitorch_service.search.space.space import Space


@dataclass(frozen=True)
class RefitState:
    """The state of a final training."""

    status: TrainingStatus
    reason: str | None = None  # of a failure
    training: Training | None = None  # None: its document cannot be read

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED


def refit_training(job: Job, space: Space, best: BestTrial, now: datetime) -> Training:
    """Returns the final training to create. Raises ValueError if the winner's parameters are not of the job's space."""
    point = space.point_of(best.parameters, options=best.options)
    if point is None:
        raise ValueError(f"the parameters of its trial {best.number} are not of the space")
    return new_training(
        refit_id(job.id),
        refit_config(space.at(point)[0], job.search),
        job.dataset,
        now,
        job.arrival,  # the job keeps its place in the queue
        priority=job.priority,
        name=job.name,
        tags=job.tags,
        submitted_by=job.submitted_by,
        refit=Refit(job_id=job.id, number=best.number, parameters=best.parameters),
    )


def with_refit(best: BestTrial | None, refit: RefitState | None, objective: str) -> BestTrial | None:
    """Returns the winner, with the weights of its final training once that is completed."""
    training = None if refit is None else refit.training
    if best is None or training is None or not _is_of(refit, best) or training.status != TrainingStatus.COMPLETED:
        return best
    value = (training.evaluation or {}).get(objective, math.nan)
    changes = {
        "model": training.artifacts.get("model"),
        "refit": training.id,
        "refit_value": value if math.isfinite(value) else None,
    }
    return best.model_copy(update=changes)


def refit_note(best: BestTrial | None, refit: RefitState | None) -> str | None:
    """Returns the reason why a final training that has ended left no model, for the owner of the job."""
    if best is None or refit is None or refit.is_open:
        return None
    if refit.status != TrainingStatus.COMPLETED:
        reason = f"is {refit.status}" + (f" ({refit.reason})" if refit.reason else "")
    elif not _is_of(refit, best):
        reason = "is of a trial that is no longer the best"
    else:
        return None
    return f"its final training (search.refit) {reason}: the model is the best trial's"


def _is_of(refit: RefitState | None, best: BestTrial) -> bool:
    """Whether it has the parameters of this trial; another one, retried meanwhile, may have become the best."""
    training = None if refit is None else refit.training
    return training is not None and training.refit is not None and training.refit.number == best.number

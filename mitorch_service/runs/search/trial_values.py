"""The values by which a search measures a trial that has ended."""

from __future__ import annotations

import math
from dataclasses import replace

from mitorch_service.models.training import Training
from mitorch_service.stores.verbs.runs import RunEnd


def with_trial_values(training: Training, end: RunEnd) -> RunEnd:
    """The end with the trial's objectives, all from one evaluation: that of the epoch whose weights are kept, or the
    one that a script reported last. If one objective is missing or not finite, the trial has no value at all."""
    if training.trial is None or end.evaluation is None:
        return end
    values = [end.evaluation.get(name, math.nan) for name in training.trial.all_objectives()]
    if not all(map(math.isfinite, values)):
        return end
    if len(values) == 1:
        return replace(end, trial_value=values[0])
    return replace(end, trial_values=tuple(values), job_id=training.job_id)

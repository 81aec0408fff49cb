"""What a trial is measured by at its end."""

from __future__ import annotations

import math
from dataclasses import replace

from mitorch_service.models.training import Training
from mitorch_service.stores.runs import RunEnd


def with_trial_values(training: Training, end: RunEnd) -> RunEnd:
    """The end with the trial's objectives, all of one epoch's evaluation: of the one whose weights are kept, or that a
    script has reported last. One objective that is missing or not finite leaves the trial without any value."""
    if training.trial is None or end.evaluation is None:
        return end
    values = [end.evaluation.get(name, math.nan) for name in training.trial.all_objectives()]
    if not all(map(math.isfinite, values)):
        return end
    if len(values) == 1:
        return replace(end, trial_value=values[0])
    return replace(end, trial_values=tuple(values), job_id=training.job_id)

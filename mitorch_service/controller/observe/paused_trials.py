"""Reads what decides which paused trials of a job are resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mitorch_service.controller.observe.population import observe_population
from mitorch_service.controller.observe.promotion import observe_promotion
from mitorch_service.controller.plan.search.expansion import TRIALS_A_PASS
from mitorch_service.controller.plan.search.paused_trials import PausedTrials, rungs_of
from mitorch_service.models.search.job import BestTrial, Job, trial_id
from mitorch_service.search.base import Study
from mitorch_service.stores.base import Store


def observe_paused_trials(
    store: Store, job: Job, study: Study, counts: Mapping[str, int], last_number: int | None, open_count: int
) -> PausedTrials | None:
    """Returns None if no paused trial can be resumed now."""
    search = job.search
    most = TRIALS_A_PASS if search.max_concurrent is None else search.max_concurrent - open_count
    if not search.pauses or most <= 0 or last_number is None:
        return None
    if search.algorithm != "pbt":
        return observe_promotion(store, job, counts, most)
    all_created = last_number + 1 >= search.max_trials
    return observe_population(store, job, study) if all_created else None


def best_of_highest_rung(store: Store, job: Job) -> BestTrial | None:
    """Returns the winner as long as no trial has run to its end: the best trial of the highest rung that one with a
    finite value has reached."""
    for epochs in reversed(rungs_of(job)):
        for record in store.rungs.rung_records(job.id, epochs, 1):
            row = store.rungs.rows_among([trial_id(job.id, record.number)]).get(trial_id(job.id, record.number))
            if row is not None and row.trial is not None and math.isfinite(record.loss):
                return BestTrial(
                    training_id=row.id,
                    number=record.number,
                    value=row.trial.curve.get(str(epochs), record.loss),
                    parameters=row.trial.parameters,
                    options=row.trial.options,
                    model=row.artifacts.get("model"),
                )
    return None

"""Reads what decides which paused trials of a job go on."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.controller.plan.expansion import TRIALS_A_PASS
from mitorch_service.controller.plan.paused_trials import PausedTrials
from mitorch_service.controller.plan.population import Population
from mitorch_service.controller.plan.promotion import Promoting
from mitorch_service.models.job import Job
from mitorch_service.stores.base import Store


def observe_paused_trials(
    store: Store, job: Job, counts: Mapping[str, int], last_number: int | None, open_count: int
) -> PausedTrials | None:
    """None where no paused trial can go on now."""
    search = job.search
    most = TRIALS_A_PASS if search.max_concurrent is None else search.max_concurrent - open_count
    if not search.pauses or most <= 0 or last_number is None:
        return None
    if search.algorithm != "pbt":
        return Promoting.observe(store, job, counts, most)
    return Population.observe(store, job) if last_number + 1 >= search.max_trials else None

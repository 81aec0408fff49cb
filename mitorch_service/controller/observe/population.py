"""Reads the members of a population, and their losses at the steps at which some of them are paused."""

from __future__ import annotations

from mitorch_service.controller.plan.search.population import MemberTrial, PopulationPlan
from mitorch_service.models.search.job import Job, trial_id
from mitorch_service.models.search.population import MAX_MEMBERS
from mitorch_service.search.base import Study
from mitorch_service.stores.base import Store


def observe_population(store: Store, job: Job, study: Study) -> PopulationPlan:
    """Reads all members, and a rung for each step at which some of them can be resumed."""
    rows = store.rungs.rows_among([trial_id(job.id, number) for number in range(job.search.max_trials)])
    members = {row.trial.number: MemberTrial(row, row.trial) for row in rows.values() if row.trial is not None}
    steps = {one.pause_at for one in members.values() if one.is_resumable() and one.pause_at is not None}
    losses = {
        epochs: {record.number: record.loss for record in store.rungs.rung_records(job.id, epochs, MAX_MEMBERS)}
        for epochs in steps
    }
    return PopulationPlan(job, study, members, losses)

"""What miquery shows of trials that run in parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitorch_service.cli.views.output import show_table, text
from mitorch_service.models.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store


def counts_text(counts: Mapping[str, int]) -> str:
    """``3 completed, 12 paused``"""
    return ", ".join(f"{n} {status}" for status, n in counts.items()) or "none yet"


def rung_fields(store: Store, job: Job) -> list[tuple[str, Any]]:
    """How many trials came to each rung of an active job."""
    if job.status not in ACTIVE_JOBS:
        return []
    from mitorch_service.controller.plan.paused_trials import rungs_of  # of no use for a training

    reached = [(epochs, store.rungs.count_rung(job.id, epochs)) for epochs in rungs_of(job)]
    return [("reached", ", ".join(f"epoch {epochs}: {n}" for epochs, n in reached if n) or None)]


def pausing_fields(training: Training) -> list[tuple[str, Any]]:
    """Where a trial pauses, or has paused."""
    trial = training.trial
    if trial is None or trial.pause_at is None:
        return []
    return [("paused" if training.is_paused() else "pauses", f"after epoch {trial.pause_at} of {training.max_epochs}")]


def show_lineage(training: Training) -> None:
    """Whom a member of a population went on from, and what changed of its parameters."""
    lineage = (training.trial and training.trial.lineage) or ()
    rows = []
    for one in lineage:
        names = [name for name in {**one.before, **one.after} if one.before.get(name) != one.after.get(name)]
        changed = ", ".join(f"{name} {text(one.before.get(name))} → {text(one.after.get(name))}" for name in names)
        rows.append([one.epoch, one.parent_number, one.parent[:8], changed])
    if rows:
        show_table("lineage", ("after epoch", "from trial", "id", "parameters"), rows)

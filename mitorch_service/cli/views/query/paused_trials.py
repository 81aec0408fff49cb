"""Formats the state of paused trials and the lineage of a population."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.cli.views.pages.page import Column, Table, text
from mitorch_service.models.training import Training


def counts_text(counts: Mapping[str, int]) -> str:
    """``3 completed, 12 paused``"""
    return ", ".join(f"{n} {status}" for status, n in counts.items()) or "none yet"


def pausing_fields(training: Training) -> list[tuple[str, object]]:
    """The epoch after which a trial pauses, or has paused."""
    trial = training.trial
    if trial is None or trial.pause_at is None:
        return []
    return [("paused" if training.is_paused() else "pauses", f"after epoch {trial.pause_at} of {training.max_epochs}")]


def lineage_tables(training: Training) -> list[Table]:
    """The trials that a member of a population was copied from, and the changes of its parameters; empty for others."""
    lineage = (training.trial and training.trial.lineage) or ()
    rows = []
    for one in lineage:
        names = [name for name in {**one.before, **one.after} if one.before.get(name) != one.after.get(name)]
        changed = ", ".join(f"{name} {text(one.before.get(name))} → {text(one.after.get(name))}" for name in names)
        rows.append([one.epoch, one.parent_number, one.parent[:8], changed])
    columns = (Column("after epoch"), Column("from trial"), Column("id"), Column("parameters", wraps=True))
    return [Table("lineage", columns, rows, keep="last", most=3)] if rows else []

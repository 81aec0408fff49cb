"""Formats the lineage of a population."""

from __future__ import annotations

from mitorch_service.cli.views.pages.page import Column, Table, text
from mitorch_service.models.training import Training


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

"""Prints the outcome of `micontrol prune`."""

from __future__ import annotations

import sys

import click

from mitorch_service.cli.views.escapes import raw_stream
from mitorch_service.operations.retention import PruneReport
from mitorch_service.stores.requests import Compaction


def show_pruned(report: PruneReport, done: str) -> None:
    """Prints counts of what was pruned (`done` says how), and of what was kept and why."""
    click.echo(f"{report.trainings} trainings and {report.jobs} jobs {done}")
    kept = {
        "trials of jobs that have not ended": report.active,
        "best trials": report.best,
        "bases of trainings that have not ended": report.bases,
        "changed meanwhile": report.changed,
        "unreadable": report.broken,
    }
    if any(kept.values()):
        click.echo("kept: " + ", ".join(f"{count} {what}" for what, count in kept.items() if count))


def show_compaction(compaction: Compaction) -> None:
    """Prints the space that the database has returned."""
    note = f"; {compaction.note}" if compaction.note else ""
    click.echo(f"database: {compaction.freed / 1e6:.1f} MB given back{note}")


def show_progress(report: PruneReport) -> None:
    """Counts on a terminal while pruning."""
    if sys.stderr.isatty():
        click.echo(f"\r{report.trainings} trainings …", nl=False, file=raw_stream(sys.stderr))

"""Prints the outcome of `micontrol prune` and `micontrol restore`."""

from __future__ import annotations

import sys

import click

from mitorch_service.cli.views.pages.escapes import raw_stream
from mitorch_service.cli.views.pages.output import show_json
from mitorch_service.operations.archives.restoration import RestoreReport
from mitorch_service.operations.archives.retention import PruneReport
from mitorch_service.stores.requests import Compaction
from mitorch_service.wording.counted import counted


def show_pruned(report: PruneReport, done: str) -> None:
    """Prints counts of what was pruned (`done` says how), and of what was kept and why."""
    click.echo(f"{counted(report.trainings, 'training')} and {counted(report.jobs, 'job')} {done}")
    kept = {
        counted(report.active, "trial") + " of jobs that have not ended": report.active,
        counted(report.best, "best trial"): report.best,
        counted(report.bases, "base") + " of trainings that have not ended": report.bases,
        f"{report.changed} changed meanwhile": report.changed,
        f"{report.broken} unreadable": report.broken,
    }
    if any(kept.values()):
        click.echo("kept: " + ", ".join(what for what, count in kept.items() if count))


def show_compaction(compaction: Compaction) -> None:
    """Prints the space that the database has returned."""
    note = f"; {compaction.note}" if compaction.note else ""
    click.echo(f"database: {compaction.freed / 1e6:.1f} MB given back{note}")


def show_progress(report: PruneReport) -> None:
    """Counts on a terminal while pruning."""
    if sys.stderr.isatty():
        click.echo(f"\r{counted(report.trainings, 'training')} …", nl=False, file=raw_stream(sys.stderr))


def show_restored(report: RestoreReport, done: str) -> None:
    """Prints counts of what was brought back (`done` says how), and of what is there already."""
    click.echo(f"{counted(report.trainings, 'training')} and {counted(report.jobs, 'job')} {done}")
    if report.present:
        click.echo(
            f"{report.present} in the database already, left as {'it is' if report.present == 1 else 'they are'}"
        )


def show_restored_json(report: RestoreReport) -> None:
    """Prints the same as one JSON document."""
    show_json({"trainings": report.trainings, "jobs": report.jobs, "present": report.present})


def show_restoring(report: RestoreReport) -> None:
    """Counts on a terminal while restoring."""
    if sys.stderr.isatty():
        click.echo(f"\r{counted(report.trainings, 'training')} …", nl=False, file=raw_stream(sys.stderr))

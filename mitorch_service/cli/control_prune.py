"""What `micontrol prune` does."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.operations.archive import Archive
from mitorch_service.operations.retention import PruneOrder, PruneReport, preview, prune
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts, open_store

_PAUSE_SECONDS = 0.05  # after each page, in which the service writes
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24}


def prune_ended(
    older_than: str, keep_best: bool, keep_artifacts: bool, archive: Path | None, delete: bool, dry_run: bool
) -> int:
    """Prunes, or says what it would prune. Returns 1 if some of it failed."""
    if (archive is not None) + delete > 1 or not (archive or delete or dry_run):
        raise click.UsageError("Give --archive FILE to keep what goes in a file, or --delete to keep nothing of it.")
    settings = read_settings()
    order = PruneOrder(datetime.now(UTC) - parse_age(older_than), keep_best, keep_artifacts)
    store = open_store(settings)
    if dry_run:
        _tell(preview(store, order), "would be pruned (nothing was changed)")
        return 0
    store.prepare()
    file = None if archive is None else Archive(archive)
    try:
        report = prune(
            store, open_artifacts(settings), settings.home / "runs", order, file, _pause, show=_show_progress
        )
    finally:
        if file is not None:
            file.close()
    _tell(report, "deleted" if archive is None else f"moved to {archive}")
    compaction = store.retention.compact(_pause)
    click.echo(f"database: {compaction.freed / 1e6:.1f} MB given back" + f"; {compaction.note}" * bool(compaction.note))
    for text in report.failed:
        click.echo(text, err=True)
    return int(bool(report.failed))


def parse_age(text: str) -> timedelta:
    """``180d``: a whole number and h, d, w or m (hours, days, weeks, months of 30 days). Raises InvalidInput."""
    match = re.fullmatch(r"([0-9]{1,6})([hdwm])", text.strip().lower())
    if match is None:
        problem = "write a whole number and h (hours), d (days), w (weeks) or m (months of 30 days), such as 180d"
        raise InvalidInput("--older-than", [Problem(text, problem)])
    age = timedelta(hours=int(match[1]) * _HOURS[match[2]])
    if age > timedelta(days=36_500):
        raise InvalidInput("--older-than", [Problem(text, "that is more than a hundred years")])
    return age


def _tell(report: PruneReport, done: str) -> None:
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


def _show_progress(report: PruneReport) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{report.trainings} trainings …", nl=False, err=True)


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)

"""Prunes, or previews it, and prints the outcome."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from pathlib import Path

import click

from mitorch_service.cli.views.control.prune import show_compaction, show_progress, show_pruned
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.retention import PruneOptions, preview, prune
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts, open_store

_PAUSE_SECONDS = 0.05  # after each page, in which the service writes


def preview_prune(options: PruneOptions) -> None:
    """Prints what would be pruned."""
    show_pruned(preview(open_store(read_settings()), options), "would be pruned (nothing was changed)")


def run_prune(options: PruneOptions, path: Path | None) -> int:
    """Prunes into the archive at `path`, or for good. Returns 1 if some of it failed."""
    settings = read_settings()
    store = open_store(settings)
    store.prepare()
    with nullcontext() if path is None else closing(Archive(path)) as archive:
        runs = settings.home / "runs"
        report = prune(store, open_artifacts(settings), runs, options, archive, _pause, show_progress)
    show_pruned(report, "deleted" if path is None else f"moved to {path}")
    show_compaction(store.retention.compact(_pause))
    for text in report.failed:
        click.echo(text, err=True)
    return int(bool(report.failed))


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)

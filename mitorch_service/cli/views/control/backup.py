"""Prints the outcome of `micontrol backup`, and of `micontrol restore` of a backup."""

from __future__ import annotations

import sys

import click

from mitorch_service.cli.views.pages.escapes import raw_stream
from mitorch_service.cli.views.pages.output import show_json
from mitorch_service.operations.archives.backup import BackupReport
from mitorch_service.stores.requests import Collection
from mitorch_service.wording.counted import counted

_COUNTED: dict[Collection, str] = {
    "trainings": "training",
    "jobs": "job",
    "datasets": "data set",
    "training_results": "epoch",
}


def show_backup(report: BackupReport, done: str) -> None:
    """Prints counts of documents and artifacts; `done` says where they are now."""
    counts = [counted(report.documents.get(collection, 0), word) for collection, word in _COUNTED.items()]
    click.echo(f"{', '.join(counts)} and {counted(report.artifacts, 'artifact')} {done}")
    if report.present:
        click.echo(f"{counted(report.present, 'document')} in the database already, left as before")


def show_backup_json(report: BackupReport) -> None:
    """Prints the same as one JSON document."""
    show_json({"documents": report.documents, "artifacts": report.artifacts, "present": report.present})


def show_progress(report: BackupReport) -> None:
    """Counts on a terminal meanwhile."""
    if sys.stderr.isatty():
        total = sum(report.documents.values())
        text = f"\r{counted(total, 'document')}, {counted(report.artifacts, 'artifact')} …"
        click.echo(text, nl=False, file=raw_stream(sys.stderr))

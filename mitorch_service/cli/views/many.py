"""Prints the progress and result of `misubmit --many`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from mitorch_service.cli.views.pages.output import show_json, stream_json, text
from mitorch_service.submission.bulk import Advance
from mitorch_service.submission.many import ManyResult, Progress
from mitorch_service.wording.counted import counted

_LINE_SECONDS = 5.0  # between two lines of progress on a pipe
_BAR_SECONDS = 0.1


class ShownProgress(Progress):
    """Shows a bar on a terminal, else a line every few seconds; both on standard error."""

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:
        if not sys.stderr.isatty():
            of = "" if total is None else f" of {total}"
            yield _Throttled(lambda done: click.echo(f"{name}: {done}{of}", err=True), _LINE_SECONDS)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from mitorch_service.cli.views.pages.terminal import open_console

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=open_console(stderr=True)) as bar:
            task = bar.add_task(name, total=total)
            advance = _Throttled(lambda done: bar.update(task, completed=done), _BAR_SECONDS)
            yield advance
            bar.update(task, completed=advance.done, total=advance.done if total is None else total)

    def note(self, text: str) -> None:
        click.echo(text, err=True)


class _Throttled:
    """Adds up the entries and shows the sum at most once per `seconds`."""

    def __init__(self, show: Callable[[int], object], seconds: float) -> None:
        self.done = 0
        self._show = show
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def __call__(self, more: int) -> None:
        self.done += more
        if time.monotonic() >= self._next:
            self._show(self.done)
            self._next = time.monotonic() + self._seconds


def show_preview(result: ManyResult, as_json: bool) -> None:
    """Prints what would be queued."""
    trainings, jobs = result.preview or (0, 0)
    source = result.receipt.source
    before = result.receipt.done
    if as_json:
        show_json({"source": source, "trainings": trainings, "jobs": jobs, "queued_before": before})
        return
    already = f", {before} of them are already" if before else ""
    click.echo(
        f"{source} is right: {counted(trainings, 'training')} and {counted(jobs, 'job')} would be queued{already}"
    )


def show_result(result: ManyResult, as_json: bool) -> None:
    """Prints how many were queued; as JSON with the place and id of each."""
    receipt = result.receipt
    before = result.queued_before
    queued = receipt.total - before
    if as_json:
        fields = {
            "source": receipt.source,
            "queued": queued,
            "queued_before": before,
            "round": receipt.round,
            "finished_at": receipt.finished_at,
            "submissions": ({"place": place, "id": id} for place, id in result.ids),
        }
        stream_json(fields.items())
    elif queued:
        click.echo(f"{queued} queued" + (f", {before} were before" if before else ""))
    else:
        finished = text(receipt.finished_at)
        click.echo(f"0 queued: all {before} already queued on {finished}; --again queues it once more")

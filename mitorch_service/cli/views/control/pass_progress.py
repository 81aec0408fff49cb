"""Shows the progress of `micontrol run`: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from mitorch_service.cli.views.pages.escapes import one_line
from mitorch_service.cli.views.pages.page import Column, Lines, Page, Table, text
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.status import OPEN
from mitorch_service.models.training import TrainingRow, done_text, epochs_text
from mitorch_service.wording.elapsed import duration_text

_BAR = 16  # characters
_COLUMNS = (
    Column("training"),
    Column("status"),
    Column("name", 3, 10),
    Column("epoch"),
    Column("", 7),
    Column("left", 2),
    Column("train loss", 5),
    Column("val loss", 4),
    Column("metrics", 6, 16),
)


class PassProgress(ABC):
    """Shows each pass."""

    @abstractmethod
    def report(self, report: PassReport) -> None:
        """Shows what the pass did, and the active trainings."""

    @abstractmethod
    def note(self, text: str, failed: bool) -> None:
        """Shows one line."""


@contextmanager
def show_pass() -> Iterator[PassProgress]:
    """Gives the progress for a terminal or a pipe."""
    if not sys.stdout.isatty():
        yield PlainProgress()
        return
    from rich.live import Live

    from mitorch_service.cli.views.pages.terminal import open_console

    with Live(console=open_console(), refresh_per_second=4) as live:
        yield LiveProgress(live)


class PlainProgress(PassProgress):
    """Prints a line for each event, each epoch, and each change of the counts."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._counts = ""
        self._said: set[str] = set()

    def report(self, report: PassReport) -> None:
        before = self._said
        self._said = set()
        for event in report.events:
            if event.text not in before:  # a cluster that stays unreachable is reported once
                self.note(event.text + (f"\n{event.trace}" if event.trace else ""), event.failed)
            self._said.add(event.text)
        for training in report.snapshot.active:
            self._epoch(training)
        counts = _counts(report)
        if counts != self._counts:
            self.note(counts, failed=False)
        self._counts = counts

    def note(self, text: str, failed: bool) -> None:
        click.echo(f"{datetime.now(UTC):%H:%M:%S} UTC {one_line(text)}", err=failed)
        sys.stdout.flush()

    def _epoch(self, training: TrainingRow) -> None:
        progress = training.progress
        if progress is None or self._epochs.get(training.id) == progress.epoch:
            return
        self._epochs[training.id] = progress.epoch
        losses = f"train_loss {text(progress.train_loss)}  val_loss {text(progress.val_loss)}"
        metrics = "".join(f"  {name} {text(value)}" for name, value in progress.metrics.items())
        epoch = epochs_text(progress.epoch, progress.max_epochs)
        epoch += "" if training.max_steps is None else f" ({done_text(training)})"
        self.note(f"training {training.id[:8]} epoch {epoch}  {losses}{metrics}", failed=False)


class LiveProgress(PassProgress):
    """Draws a table of active trainings after each pass; events scroll by above it."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._said: set[str] = set()

    def report(self, report: PassReport) -> None:
        before = self._said
        self._said = set()
        for event in report.events:
            if event.text not in before:
                self.note(event.text + (f"\n{event.trace}" if event.trace else ""), event.failed)
            self._said.add(event.text)
        self._live.update(self._table(report))

    def note(self, text: str, failed: bool) -> None:
        from rich.text import Text

        line = f"{datetime.now(UTC):%H:%M:%S} UTC {one_line(text)}"
        self._live.console.print(Text(line, style="red" if failed else ""), soft_wrap=True)

    def _table(self, report: PassReport) -> Any:
        from mitorch_service.cli.views.pages.terminal import FittedPage

        now = datetime.now(UTC)
        rows = [_active_row(training, now) for training in report.snapshot.active]
        table = Table("active trainings", _COLUMNS, rows)
        # In the empty line at its end the terminal shows ^C; behind a row as wide as the window it would begin a line.
        return FittedPage(Page([table, Lines([""])]), _counts(report))


def _active_row(training: TrainingRow, now: datetime) -> list[object]:
    progress = training.progress
    return [
        training.id[:8],
        training.status,
        training.name,
        done_text(training),
        _bar(*training.done()),
        duration_text(training_remaining(training, now)),
        progress and progress.train_loss,
        progress and progress.val_loss,
        progress and progress.metrics,
    ]


def _bar(done: int, of: int) -> str:
    filled = round(_BAR * min(done / of, 1)) if of else 0
    return "━" * filled + "·" * (_BAR - filled)


def _counts(report: PassReport) -> str:
    seen = report.snapshot
    free = sum(capacity.free for capacity in seen.clusters.values())
    total = sum(capacity.total for capacity in seen.clusters.values())
    waiting = f"{len(seen.queue)}{'+' if len(seen.queue) > free else ''} waiting"
    jobs = "".join(
        f"; job {s.job.id[:8]}: {sum(n for status, n in s.counts.items() if status not in OPEN)}"
        f" of {s.job.search.max_trials} trials ended"
        for s in seen.jobs
    )
    return f"{len(seen.active)} active, {waiting}, {free} of {total} slots free{jobs}"

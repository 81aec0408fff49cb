"""Shows the progress of predictions: a bar on standard error, as standard output may carry the predictions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from mitorch_service.cli.views.pages.escapes import one_line, raw_stream

Item = TypeVar("Item")


class Bar:
    """Counts what passes, and prints notes; draws nothing."""

    def __init__(self) -> None:
        self.passed = 0

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yields the items, counting them."""
        for item in items:
            yield item
            self.passed += 1
            self.advance()

    def advance(self) -> None:
        """Moves the bar by one."""
        return

    def note(self, text: str) -> None:
        """Prints a line."""
        click.echo(one_line(text), err=True)


@contextmanager
def show_predicting(total: int) -> Iterator[Bar]:
    """Gives a bar for a terminal, or one that draws nothing."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=raw_stream(sys.stderr))
    # not redirected, as in training_progress.py
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("predicting", total=total)

        class DrawnBar(Bar):
            def advance(self) -> None:
                progress.advance(task)

            def note(self, text: str) -> None:
                progress.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)

        yield DrawnBar()

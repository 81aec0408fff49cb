"""Prints the progress and outcome of `mitorch import`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from mitorch_service.cli.views.pages.escapes import raw_stream
from mitorch_service.cli.views.pages.output import stream_json
from mitorch_service.interop.import_runs import ImportReport
from mitorch_service.wording.counted import counted

_MOST_SHOWN = 20  # runs of a kind; --json has all
_LINE_SECONDS = 5.0
_TERMINAL_SECONDS = 0.1


class ShownImport:
    """Counts the runs on standard error: on a terminal in one line, else in a line every few seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False
        self._pause = _TERMINAL_SECONDS if self._is_terminal else _LINE_SECONDS
        self._next = time.monotonic() + self._pause

    def __call__(self, report: ImportReport) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        text = f"{counted(report.seen, 'run')} read, {len(report.imported)} of them new"
        if self._is_terminal:
            self._is_shown = True
            click.echo(f"\r{text} …", nl=False, file=raw_stream(sys.stderr))
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Leaves the line of the progress."""
        if self._is_shown:
            click.echo(err=True)


def show_imported(report: ImportReport, dry_run: bool) -> None:
    """Prints counts; and on standard error each run that cannot be read, with the reason."""
    done = "would be imported (nothing was changed)" if dry_run else "imported"
    click.echo(f"{counted(len(report.imported), 'run')} {done}")
    for id, status, run, name in report.imported[:_MOST_SHOWN]:
        click.echo(f"  {id}  {status}  {name or run}")
    if len(report.imported) > _MOST_SHOWN:
        click.echo(f"  and {len(report.imported) - _MOST_SHOWN} more")
    if report.incomplete:
        click.echo(f"{counted(report.incomplete, 'run')} without a part of what was logged: miquery ID says which")
    if report.present:
        click.echo(f"{report.present} imported before, left as {'it is' if report.present == 1 else 'they are'}")
    _show("without an end left out (see --unfinished)", report.unfinished)
    _show("without anything logged left out", report.empty)
    _show("left out that cannot be read", report.damaged, to_errors=True)


def show_imported_json(report: ImportReport, dry_run: bool) -> None:
    """Prints one JSON document."""
    fields: dict[str, object] = {
        "dry_run": dry_run,
        "imported": ({"id": id, "status": st, "run": run, "name": name} for id, st, run, name in report.imported),
        "present": report.present,
    }
    for kind, runs in (("unfinished", report.unfinished), ("empty", report.empty), ("damaged", report.damaged)):
        fields[kind] = ({"place": place, "reason": reason} for place, reason in runs)
    stream_json(fields.items())


def _show(why: str, runs: Sequence[tuple[str, str]], to_errors: bool = False) -> None:
    if not runs:
        return
    click.echo(f"{counted(len(runs), 'run')} {why}:", err=to_errors)
    for place, reason in runs[:_MOST_SHOWN]:
        click.echo(f"  {place}: {reason}", err=to_errors)
    if len(runs) > _MOST_SHOWN:
        click.echo(f"  and {len(runs) - _MOST_SHOWN} more", err=to_errors)

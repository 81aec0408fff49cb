"""Shows a view every two seconds: on a terminal on a screen of its own, else page after page."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.views.pages.output import line_json, show_page
from mitorch_service.cli.views.query.base import View
from mitorch_service.errors import DATABASE_TROUBLE

if TYPE_CHECKING:
    from mitorch_service.cli.views.pages.page import Page

_SECONDS = 2.0
_REDRAWS = 4  # a second, so that a new size of the window is obeyed soon


def watch(view: View) -> None:
    """Shows the view until it has ended. The last page stays in the terminal's scrollback."""
    if sys.stdout.isatty():
        _watch_on_screen(view)
        return
    page = view.read()
    show_page(page)
    while not page.has_ended:
        _pause()
        click.echo()
        page = view.read()
        show_page(page)


def watch_json(view: View) -> None:
    """Prints a JSON document in each line, until the view has ended."""
    while True:
        ended = view.has_ended()  # before it is read: what is printed last is the end
        line_json(view.fields())
        if ended:
            return
        _pause()


def _watch_on_screen(view: View) -> None:
    from rich.live import Live

    from mitorch_service.cli.views.pages.terminal import FittedPage, open_console

    page = view.read()
    console = open_console()
    shown = FittedPage(page, _heading(""))
    try:
        with Live(shown, console=console, screen=True, refresh_per_second=_REDRAWS, redirect_stderr=False) as live:
            try:
                while not page.has_ended:
                    time.sleep(_SECONDS)
                    page, problem = _read_again(view, page)
                    shown = FittedPage(page, _heading(problem))
                    live.update(shown)
            finally:  # tmux takes parts of a screen whose size has changed into the scrollback
                live.update("", refresh=True)
    finally:
        console.print(shown)


def _read_again(view: View, last: Page) -> tuple[Page, str]:
    """A page, or the last one and why it is not a new one."""
    try:
        return view.read(), ""
    except DATABASE_TROUBLE as error:
        return last, f"no answer: {error}"


def _heading(problem: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC · {problem or f'every {_SECONDS:.0f} s · Ctrl-C ends'}"


def _pause() -> None:
    sys.stdout.flush()
    time.sleep(_SECONDS)

"""Shows a view every two seconds."""

from __future__ import annotations

import sys
import time

import click

from mitorch_service.cli.views.base import View

_SECONDS = 2.0


def repeat(view: View) -> None:
    """Shows the view until it has ended; on a terminal each time in place of the last one."""
    while True:
        if sys.stdout.isatty():
            click.clear()
        if view.show():
            return
        sys.stdout.flush()
        time.sleep(_SECONDS)
        if not sys.stdout.isatty():
            click.echo()

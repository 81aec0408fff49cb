"""Prints the log of a run (`micontrol logs`)."""

from __future__ import annotations

import sys

from mitorch_service.cli.views.pages.escapes import raw_stream, several_lines


def show_log(log: str, raw: bool) -> None:
    """Prints it, or a part of it, with its control characters shown; `raw`: they are sent to the terminal."""
    stream = raw_stream(sys.stdout)
    stream.write(log if raw else several_lines(log))
    stream.flush()

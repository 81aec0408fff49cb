"""Shows how far something is while one waits: in a notebook, on a terminal, or nowhere."""

from __future__ import annotations

import sys
from typing import Any

from mitorch_service.client.results import Job, Training


class Progress:
    """Shows nothing."""

    def show(self, state: Training | Job) -> None:
        """Shows the state in place of the one before."""

    def end(self) -> None:
        """Leaves what is shown."""


class _InNotebook(Progress):
    """Updates one output of a cell."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, state: Training | Job) -> None:
        if self._handle is None:
            self._handle = self._display(state, display_id=True)
        else:
            self._handle.update(state)


class _OnTerminal(Progress):
    """Writes one line again and again."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, state: Training | Job) -> None:
        line = f"{state.id[:8]} {state.status}{_how_far(state)}"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def end(self) -> None:
        if self._width:
            sys.stderr.write("\n")


def open_progress(wanted: bool) -> Progress:
    """Returns what fits the place where the program runs."""
    if not wanted:
        return Progress()
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and getattr(shell, "kernel", None) is not None:
        return _InNotebook(sys.modules["IPython"].display.display)
    return _OnTerminal() if sys.stderr.isatty() else Progress()


def _how_far(state: Training | Job) -> str:
    if isinstance(state, Job):
        return f" {sum(state.counts.values())}/{state.max_trials} trials"
    loss = "" if state.val_loss is None else f" val_loss {state.val_loss:.4g}"
    if state.max_steps is not None:
        return f" step {state.step or 0}/{state.max_steps}{loss}"
    return f" epoch {state.epoch}/{state.max_epochs or '?'}{loss}"

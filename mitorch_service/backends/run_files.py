"""Reads the files that a supervisor leaves in a run's folder."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from mitorch_service.backends.base import RunStatus
from mitorch_service.models.attempts.run_state import RunState


def ended_run(folder: Path) -> RunStatus | None:
    """Returns how the run ended by its ``exit.json``; None if it has not said so."""
    exit_ = read_json(folder / "exit.json")
    if exit_ is None:
        return None
    code = exit_.get("code")
    if not isinstance(code, int):
        return None
    if code == 0:
        return RunStatus(RunState.SUCCEEDED, exit_code=0)
    reason = exit_.get("reason")
    if code > 0:
        return RunStatus(RunState.FAILED, str(reason or f"it ended with exit code {code}"), code)
    if reason:
        return RunStatus(RunState.KILLED, str(reason))
    name = _signal_name(-code)
    hint = ": often the machine ran out of memory" if -code == signal.SIGKILL else ""
    return RunStatus(RunState.KILLED, f"it was killed by {name}{hint}")


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns the object in it; None if there is no such file, or a full disk has truncated it."""
    try:
        value: object = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return None  # truncated by a full disk: the same as missing
    return value if isinstance(value, dict) else None


def log_end(path: Path, max_bytes: int) -> str:
    """Returns the last bytes of a log as text; empty if there is none. Raises OSError."""
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - max_bytes))
        return log.read().decode("utf-8", "replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # real-time signals have no names

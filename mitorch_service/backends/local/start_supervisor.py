"""Starts a run's supervisor: ``python start_supervisor.py FOLDER …``, by its path.

Imports nothing of the package before it can say so if that fails, as in the middle of an upgrade: such a run has failed
and was not killed, so that its training loses no attempt.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(folder: Path, grace_seconds: float, max_silence: float, command: list[str]) -> int:
    """Supervises the run; returns 1 if the supervisor cannot be imported, which is the run's end then."""
    try:
        from mitorch_service.backends.local.supervisor import supervise
    except Exception as error:  # noqa: BLE001 - whatever a half installed package leads to
        _write_end(folder, f"its supervisor could not be started: {type(error).__name__}: {error}")
        return 1
    return supervise(folder, grace_seconds, max_silence, command)


def _write_end(folder: Path, reason: str) -> None:
    """Writes the run's end as `supervisor.write_end` does, which could not be imported."""
    temporary = folder / f"exit.{os.getpid()}.part"
    end = {"code": 1, "ended_at": time.time(), "reason": reason}
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, folder.stat().st_mode & 0o660)
    with os.fdopen(file, "w") as opened:
        opened.write(json.dumps(end))
    temporary.replace(folder / "exit.json")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))

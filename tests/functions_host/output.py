"""The host's output: one line of JSON per event."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

_lock = threading.Lock()


def say(what: str, **fields: Any) -> None:
    """One line."""
    with _lock:
        sys.stdout.write(json.dumps({"host": what, **fields}, default=str) + "\n")
        sys.stdout.flush()


class LineHandler(logging.Handler):
    """Log records of the app become lines too."""

    def emit(self, record: logging.LogRecord) -> None:
        say("log", level=record.levelname, logger=record.name, message=record.getMessage())

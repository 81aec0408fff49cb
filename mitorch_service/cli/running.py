"""The process around a run: signals, logging, exit code."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from datetime import UTC, datetime

from mitorch_service.settings import read_settings
from mitorch_service.training.run import run_training
from mitorch_service.wiring import open_artifacts, open_store


def run_attempt(training_id: str, attempt: int) -> int:
    """Runs the attempt; SIGTERM and Ctrl-C end it cleanly as canceled. Returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.raiseExceptions = False  # a full disk under the log must not end the training
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("mitorch").addHandler(handler)
    logging.getLogger("mitorch").setLevel(logging.INFO)
    settings = read_settings()
    return run_training(
        open_store(settings), open_artifacts(settings), training_id, attempt, lambda: datetime.now(UTC), stop
    )

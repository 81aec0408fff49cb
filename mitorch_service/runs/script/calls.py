"""Answers the calls of a script: reports, checkpoints, and whether it should stop."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mitorch_service.errors import ArtifactError
from mitorch_service.models.result import EpochResult
from mitorch_service.runs.script.api import checked_epoch, checked_metrics, checked_number
from mitorch_service.runs.script.channel import Message
from mitorch_service.runs.script.script_checkpoints import ScriptCheckpoints
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest
from mitorch_service.training.loop.reporter import Reporter

_RECENT = 100  # results that a database may be behind when the run is killed

log = logging.getLogger("mitorch")


class ScriptCalls:
    """Answers the calls of one script, from any thread. Nothing in a call is trusted."""

    def __init__(
        self,
        reporter: Reporter,
        checkpoints: ScriptCheckpoints,
        clock: Callable[[], datetime],
        epoch: int,
        request: CheckpointRequest | None = None,
    ) -> None:
        """`epoch` is the last one before the checkpoint from which the script resumes; 0 if it starts anew. `request`
        is made when the time limit of the run's cluster is near."""
        self._reporter = reporter
        self._checkpoints = checkpoints
        self._clock = clock
        self._epoch = epoch
        self._request = request or CheckpointRequest()
        self._epoch_began = clock()
        self._lock = threading.Lock()
        self.recent: deque[EpochResult] = deque(maxlen=_RECENT)  # the last reports, newest last
        self.asks = False  # whether the script has called should_stop()
        self.told_to_stop = False  # whether it was answered yes
        self.told_of_limit = False  # whether it was so because the time limit is near

    def answer(self, message: Message) -> Message:
        """The answer to one call. Raises ValueError for an unknown or malformed one."""
        verb = message.get("verb")
        if verb == "report":
            return self._report(message)
        if verb == "checkpoint":
            return self._checkpoint(Path(str(message.get("path"))))
        if verb == "should_stop":
            return self._should_stop()
        raise ValueError(f"the call {verb!r} is unknown: script and run are of different versions")

    def _report(self, message: Message) -> Message:
        metrics = message.get("metrics") or {}
        if not isinstance(metrics, dict):
            raise ValueError("report: metrics must be names and numbers")
        with self._lock:
            now = self._clock()
            result = EpochResult(
                epoch=checked_epoch(message.get("epoch")),
                train_loss=_number(message, "train_loss"),
                val_loss=_number(message, "val_loss"),
                metrics=checked_metrics(metrics),
                learning_rate=_number(message, "learning_rate"),
                epoch_seconds=max(0.0, (now - self._epoch_began).total_seconds()),
                finished_at=now,
            )
            self._epoch = result.epoch
            self._epoch_began = now
            self.recent.append(result)
            self._reporter.epoch_ended(result)
        return {}

    def _checkpoint(self, path: Path) -> Message:
        was_asked = self._request.is_open()
        try:
            with self._lock:
                epoch = self._epoch
                results = list(self.recent)
            self._checkpoints.keep(path, epoch, results)
        except (ArtifactError, OSError) as error:
            log.warning("the checkpoint %s cannot be stored, the script continues without it: %s", path, error)
            return {"stored": False}
        if was_asked:
            self._request.answer()
        return {"stored": True}

    def _should_stop(self) -> Message:
        self.asks = True
        stop, is_limited = self._reporter.should_stop(), self._request.is_made()
        self.told_to_stop |= stop
        self.told_of_limit |= is_limited
        return {"stop": stop or is_limited}


def _number(message: Message, name: str) -> float | None:
    """None for a number that is not reported."""
    value = message.get(name)
    return None if value is None else checked_number(name, value)

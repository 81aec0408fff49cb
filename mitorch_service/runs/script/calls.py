"""What becomes of a script's calls."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from mitorch_service.errors import ArtifactError
from mitorch_service.models.result import EpochResult
from mitorch_service.runs.script.checkpoints import ScriptCheckpoints
from mitorch_service.runs.script.client import checked_epoch, checked_metrics
from mitorch_service.training.loop.reporter import Reporter

_RECENT = 100  # results that a database may be behind when the run is killed

log = logging.getLogger("mitorch")


class ScriptCalls:
    """Answers the calls of one script, from any thread; nothing that they say is trusted."""

    def __init__(
        self, reporter: Reporter, checkpoints: ScriptCheckpoints, clock: Callable[[], datetime], epoch: int
    ) -> None:
        """`epoch`: the one from whose end the script goes on; 0: from the beginning."""
        self._reporter, self._checkpoints, self._clock = reporter, checkpoints, clock
        self._epoch, self._epoch_began = epoch, clock()
        self._lock = threading.Lock()
        self.recent: deque[EpochResult] = deque(maxlen=_RECENT)  # what was reported last, newest last
        self.asks = False  # whether it has asked if it is to stop
        self.told_to_stop = False

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call. Raises ValueError for one that is none."""
        verb = message.get("verb")
        if verb == "report":
            return self._report(message)
        if verb == "checkpoint":
            return self._checkpoint(Path(str(message.get("path"))))
        if verb == "should_stop":
            return self._should_stop()
        raise ValueError(f"the call {verb!r} is not known: script and run are of different versions")

    def _report(self, message: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            now = self._clock()
            result = EpochResult(
                epoch=checked_epoch(message["epoch"]),
                train_loss=_number(message, "train_loss", math.nan),
                val_loss=_number(message, "val_loss", None),
                metrics=checked_metrics(message.get("metrics") or {}),
                learning_rate=_number(message, "learning_rate", math.nan),
                epoch_seconds=max(0.0, (now - self._epoch_began).total_seconds()),
                samples_per_second=math.nan,
                finished_at=now,
            )
            self._epoch, self._epoch_began = result.epoch, now
            self.recent.append(result)
            self._reporter.epoch_ended(result)
        return {}

    def _checkpoint(self, path: Path) -> dict[str, Any]:
        try:
            with self._lock:
                epoch, results = self._epoch, list(self.recent)
            self._checkpoints.keep(path, epoch, results)
        except (ArtifactError, OSError) as error:
            log.warning("the checkpoint %s cannot be stored, the script goes on without it: %s", path, error)
            return {"stored": False}
        return {"stored": True}

    def _should_stop(self) -> dict[str, Any]:
        self.asks = True
        stop = self._reporter.should_stop()
        self.told_to_stop |= stop
        return {"stop": stop}


def _number(message: dict[str, Any], name: str, default: float | None) -> Any:
    value = message.get(name)
    return default if value is None else float(value)

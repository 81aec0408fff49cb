"""The end of a run from outside: a signal, a node that is taken away, the time limit of its cluster."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from mitorch_service.backends.node import Node
from mitorch_service.errors import MiTorchError
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest

_CHECKPOINT_SECONDS = 60.0  # to store a last checkpoint before the time limit
_OWN_END_SECONDS = 20.0  # to record an end after another process of the run has failed
_LAST_WRITE_SECONDS = 10.0  # to record that the node is taken away, before it is

log = logging.getLogger("mitorch")


class RunInterruption:
    """An end from outside: `stop` is set for a run that is canceled; one whose node is taken away ends at once."""

    def __init__(self, node: Node) -> None:
        self.stop = threading.Event()
        self.checkpoint = CheckpointRequest()
        self._node = node
        self._lose: Callable[[str, bool], None] = lambda reason, timed_out: None

    def begin(self) -> None:
        """Asks the node in a thread why the process is to end; the training continues until the answer is known."""
        threading.Thread(target=self._answer, name="end", daemon=True).start()

    def limit_nears(self) -> None:
        """Ends the run after a last checkpoint: its cluster has told that its time is nearly over (SIGUSR1)."""
        threading.Thread(target=self._end_before_limit, name="end", daemon=True).start()

    def watch(self, lose: Callable[[str, bool], None]) -> None:
        """Begins to count the time that the cluster gives a run. `lose` records that the attempt is lost, why, and
        whether by a time limit."""
        self._lose = lose
        if self._node.max_seconds is not None:
            timer = threading.Timer(self._node.max_seconds, self._time_is_over)
            timer.daemon = True
            timer.start()

    def _answer(self) -> None:
        if self._node.failed_process() is not None:
            self._leave_after_failure()
        if self._node.is_preempted():
            self._leave("its node was preempted or shut down")
        self.stop.set()

    def _leave_after_failure(self) -> None:
        """Leaves to the main thread, which most often has been told, what it can still record. The cluster tells the
        rest: whose failure it was."""
        log.warning("another process of the run has failed: this one ends, too")
        time.sleep(_OWN_END_SECONDS)
        os._exit(EXIT_INFRASTRUCTURE)

    def _end_before_limit(self) -> None:
        log.warning("the time limit of this run's cluster is near")
        stored = self.checkpoint.wait_for_checkpoint(_CHECKPOINT_SECONDS)
        self._leave(f"its time limit was reached, {'after' if stored else 'without'} a last checkpoint", timed_out=True)

    def _time_is_over(self) -> None:
        days = (self._node.max_seconds or 0.0) / 86400
        self._leave(f"its cluster ends every run soon after {days:.3g} days: it continues in a new one", timed_out=True)

    def _leave(self, reason: str, timed_out: bool = False) -> None:
        log.warning("the attempt is lost, and another one replaces it: %s", reason)
        writing = threading.Thread(target=record, args=[partial(self._lose, reason, timed_out)], daemon=True)
        writing.start()
        writing.join(_LAST_WRITE_SECONDS)
        os._exit(EXIT_INFRASTRUCTURE)


def record(write: Callable[[], None]) -> None:
    """Writes what the controller would otherwise have to find out."""
    try:
        write()
    except MiTorchError as error:
        log.error("%s", error)

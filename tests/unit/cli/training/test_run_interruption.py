"""A run that is ended from outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mitorch_service.backends.node import Node, ProcessFailure
from mitorch_service.cli.training import run_interruption
from mitorch_service.cli.training.run_interruption import RunInterruption
from mitorch_service.errors import StoreUnavailable
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE


class TakenAway(Node):
    """A node that is preempted, or whose cluster gives a run little time."""

    def __init__(self, preempted: bool, max_seconds: float | None = None) -> None:
        self._preempted, self.max_seconds = preempted, max_seconds

    def is_preempted(self) -> bool:
        return self._preempted


def exit_code(run: Callable[[], object]) -> int:
    """Returns the exit code of a process of its own; 0 if it came to the end."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (TakenAway(True), "its node was preempted or shut down, False"),
        (
            TakenAway(False, 0.05),
            "its cluster ends every run soon after 5.79e-07 days: it continues in a new one, True",
        ),
    ],
)
def test_a_run_whose_node_is_taken_away_records_it_and_ends(tmp_path: Path, node: TakenAway, reason: str) -> None:
    told = tmp_path / "told"

    def run() -> None:
        interruption = RunInterruption(node)

        def lose(why: str, timed_out: bool) -> None:
            told.write_text(f"{why}, {timed_out}")

        interruption.watch(lose)
        if node.max_seconds is None:
            interruption.begin()
        threading.Event().wait(20)

    assert exit_code(run) == EXIT_INFRASTRUCTURE
    assert told.read_text() == reason


def test_a_run_whose_other_process_has_failed_leaves_the_word_to_its_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither preempted nor canceled. First it may record what it has been told itself."""

    class Broken(TakenAway):
        def failed_process(self, patience: float = 0.0) -> ProcessFailure | None:
            return ProcessFailure("its process of rank 1 ended with exit code 3", of_training=True)

    monkeypatch.setattr(run_interruption, "_OWN_END_SECONDS", 0.05)

    def run() -> None:
        interruption = RunInterruption(Broken(True))
        interruption.watch(lambda reason, timed_out: os._exit(1))
        interruption.begin()
        os._exit(2 if interruption.stop.wait(20) else 3)

    assert exit_code(run) == EXIT_INFRASTRUCTURE


def test_a_database_that_is_away_does_not_keep_it() -> None:
    def run() -> None:
        interruption = RunInterruption(TakenAway(True))

        def lose(reason: str, timed_out: bool) -> None:
            raise StoreUnavailable("at db", "is away", "Wait.")

        interruption.watch(lose)
        interruption.begin()
        threading.Event().wait(20)

    assert exit_code(run) == EXIT_INFRASTRUCTURE


def test_a_run_that_is_canceled_is_asked_to_stop() -> None:
    interruption = RunInterruption(TakenAway(False))
    interruption.watch(pytest.fail)
    interruption.begin()
    assert interruption.stop.wait(20)

"""A run of a simulation: the real code of an attempt, around a script that takes virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, MachineTrouble, MiTorchError
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.attempt_end import canceled, ended_by_search, failed, finished
from mitorch_service.runs.bounded_log import BoundedLog
from mitorch_service.runs.context import START_PATIENCE, AttemptContext, RunContext
from mitorch_service.runs.delivery import Work, deliver
from mitorch_service.runs.machine import Machine
from mitorch_service.runs.resume import complete_curve
from mitorch_service.runs.script.script_checkpoints import CheckpointName, ScriptCheckpoints
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.verbs.runs import RunEnd
from tests.samples import NOW
from tests.simulation.memory_artifacts import MemoryArtifacts
from tests.simulation.scheduler import Scheduler
from tests.simulation.simulated_cluster import RunProcess
from tests.simulation.virtual_waiting import VirtualThreads
from tests.simulation.witness import FAILURE, Witness

STEPS, STEP_SECONDS = 2, 25.0  # of an epoch
_FOLDER = Path(tempfile.mkdtemp(prefix="mitorch-simulation-"))  # of all runs: an empty log
(_FOLDER / "log.txt").touch()


class _Log:
    limit = 0


class SimulatedRuns:
    """Runs attempts as simulated processes."""

    def __init__(
        self,
        scheduler: Scheduler,
        witness: Witness,
        store: Store,
        artifacts: MemoryArtifacts,
        is_blocked: Callable[[], bool],
    ) -> None:
        """`is_blocked`: whether the machines cannot write now."""
        self._scheduler, self._witness, self._store, self._artifacts = scheduler, witness, store, artifacts
        self._is_blocked = is_blocked

    def start(self, process: RunProcess) -> None:
        """Starts the process."""
        self._scheduler.start(process, lambda: self._run(process))

    def _run(self, process: RunProcess) -> None:
        if self._has_begun(process):
            process.code = EXIT_INFRASTRUCTURE
            return
        threads = VirtualThreads(self._scheduler, process)
        machine = Machine(
            open_folder=_open_folder,
            check=self._check,
            find_trouble=self._find_trouble,
            run_script=lambda context, reporter: self._script(process, context, reporter),
            threads=threads,
        )
        clock = self._store.now
        try:
            run = RunContext(self._store, self._artifacts, clock, process.stop)
            process.code = run_training(run, process.training_id, process.attempt, machine)
        except MiTorchError as error:  # as the command does
            self._witness.note(str(error))
            process.code = 1
        self._witness.note(f"exit code {process.code}")

    def _has_begun(self, process: RunProcess) -> bool:
        """As `mirun` does where clusters restart runs."""
        row = self._witness.trainings[process.training_id]
        return row.attempt == process.attempt and row.status == "running"

    def _check(self, artifacts: ArtifactStore, folder: Path) -> None:
        if self._is_blocked():
            raise MachineTrouble("the disk is full")

    def _find_trouble(self, artifacts: ArtifactStore, folder: Path) -> MachineTrouble | None:
        return MachineTrouble("the disk is full") if self._is_blocked() else None

    def _script(self, process: RunProcess, context: AttemptContext, reporter: StoreReporter) -> RunEnd:
        training = context.training
        checkpoints = ScriptCheckpoints(self._artifacts, training.id, training.attempt)
        done = checkpoints.last_epoch()
        kept = [self._result(training, epoch) for epoch in range(1, done + 1)]
        persistently(lambda: complete_curve(context.store, training, kept), START_PATIENCE)
        for epoch in range(done + 1, training.max_epochs + 1):
            for _ in range(STEPS):
                self._scheduler.sleep(STEP_SECONDS)
                self._count_step(process)
                if reporter.should_stop():
                    decision = reporter.decision
                    return canceled() if decision is None else ended_by_search(decision, None, {})
            if training.attempt <= failing_attempts(training) and epoch == training.max_epochs:
                return failed(TrainingErrorInfo(type=FAILURE, message="bad image"))
            reporter.epoch_ended(self._result(training, epoch))
            self._keep(training, epoch)
            if reporter.decision is not None:
                return ended_by_search(reporter.decision, None, {})
        process.ending = True
        evaluation = {"val_loss": loss(training, training.max_epochs)}
        return deliver(context, Work(finished(training, evaluation, {}), [], training.max_epochs))

    def _count_step(self, process: RunProcess) -> None:
        process.step += 1
        if process.superseded_at is not None and process.step > process.superseded_at + 1:
            raise self._witness.violated(f"{process.name} went on for more than a step after it was superseded")

    def _keep(self, training: Training, epoch: int) -> None:
        name = CheckpointName(training.attempt, epoch, epoch, "0" * 64)
        try:
            self._artifacts.put_value(f"{training.id}/checkpoints/{name}/checkpoint.tar", None)
        except ArtifactError:
            return  # the script goes on without it

    def _result(self, training: Training, epoch: int) -> EpochResult:
        at = NOW + timedelta(seconds=self._witness.clock())
        return EpochResult(epoch=epoch, train_loss=None, val_loss=loss(training, epoch), finished_at=at)


def loss(training: Training, epoch: int) -> float:
    """Returns the loss of an epoch, which depends on the parameters alone."""
    parameters: Mapping[str, float] = training.config.get("parameters", {})
    return abs(float(parameters.get("lr", 0.05)) - 0.01) + 1.0 / epoch


def failing_attempts(training: Training) -> int:
    """Returns how many of its attempts fail by an error of their own."""
    value = training.config.get("parameters", {}).get("fails", 0)
    return int(value)


@contextmanager
def _open_folder() -> Iterator[tuple[Path, BoundedLog]]:
    yield _FOLDER, cast(BoundedLog, _Log())

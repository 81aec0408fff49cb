"""A search whose trials are made up: real passes of controllers on a real store, with runs that take no time."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training, TrainingErrorInfo, TrainingRow
from mitorch_service.operations.lifecycle import trials
from mitorch_service.runs.search.trial_pausing import TrialPausing
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, HookedStore
from tests.samples import NOW, a_result, later

Loss = Callable[[Training, int], float]  # training, epoch -> val_loss; NaN: it diverges there
ROUNDS = 600


class Killed(BaseException):
    """The controller's process dies here, whatever would handle an error."""


class SimulatedSearch:
    """One job, a cluster, two controllers: given a `chance`, one dies now and then and is overtaken by the other."""

    def __init__(
        self, store: Store, folder: Path, job: Job, loss: Loss, slots: int = 4, chance: random.Random | None = None
    ) -> None:
        self.store, self.job, self._loss, self._chance = store, job, loss, chance
        self.artifacts, self.backend = FolderArtifactStore(folder), FakeBackend("local", slots)
        hooked = HookedStore(store, self._interrupt)
        self.one = Controller(hooked, {"local": self.backend}, (), self.artifacts)
        self.other = Controller(store, {"local": self.backend}, (), self.artifacts)
        self.epochs: Counter[int] = Counter()  # run by each trial, repeated ones too
        self.begun: Counter[str] = Counter()  # starts of each attempt
        self.seconds = 0
        store.prepare()
        store.jobs.add_job(job)

    def finish(self, per_round: int = 1) -> Job:
        """Runs the search to its end; so many runs come to their end between two passes."""
        for _ in range(ROUNDS):
            if self.round():
                return self.store.jobs.get_job(self.job.id)
            for _ in range(per_round):
                self.live()
        raise AssertionError(f"not over after {ROUNDS} passes: {self.store.trainings.count_trainings(self.job.id)}")

    def round(self) -> bool:
        """A pass; returns whether there was nothing to do."""
        self.seconds += 1
        with suppress(Killed):
            return self.one.tick(later(self.seconds)).idle
        return False

    def live(self) -> None:
        """The longest run of the cluster does its part, or dies on the way."""
        running = self.backend.running()
        if running:
            name = running[0] if self._chance is None else self._chance.choice(running)
            id, attempt = name.removeprefix("mt-").rsplit("-a", 1)
            self._run(name, id, int(attempt))

    def rows(self) -> list[TrainingRow]:
        """The trials by number."""
        return sorted(trials(self.store, self.job.id), key=lambda row: row.trial.number if row.trial else -1)

    def curve(self, row: TrainingRow) -> list[int]:
        """The epochs that are recorded."""
        return [result.epoch for result in self.store.runs.curve(row.id).items]

    def states(self) -> list[str]:
        """Returns the checkpoints that trainings have kept."""
        return [key for row in self.rows() for key in self.artifacts.keys(f"{row.id}/")]

    def _interrupt(self, operation: str) -> None:
        fate = 1.0 if self._chance is None else self._chance.random()
        if fate < 0.01:
            raise Killed
        if fate < 0.05:
            self.other.tick(later(self.seconds))
        elif fate < 0.1:
            self.live()

    def _run(self, name: str, id: str, attempt: int) -> None:
        row = self.store.rungs.rows_among([id])[id]
        kept = [int(key.split("-")[-1].partition("/")[0]) for key in self._checkpoints(id)]
        origin = row.trial.lineage[-1].epoch if row.trial and row.trial.lineage else 0
        epoch = max([*kept, origin])
        training = self.store.runs.start_training(id, attempt, "worker", NOW, epoch)
        self.begun[name] += 1
        assert training.trial is not None
        pausing = TrialPausing.of(self.store, training)
        dies = self._chance is not None and self._chance.random() < 0.1
        while epoch < training.max_epochs and (pausing is None or pausing.decision is None):
            epoch += 1
            self.epochs[training.trial.number] += 1
            value = self._loss(training, epoch)
            if math.isnan(value):
                return self._end(name, training, AttemptOutcome.DIVERGED)
            self.store.runs.record_epoch(id, attempt, training.max_epochs, a_result(epoch, val_loss=value))
            self._keep(id, epoch)
            if pausing is not None:
                pausing.ends_after(a_result(epoch, val_loss=value))
            if dies:
                return self.backend.end(name, RunState.KILLED, "it was killed by SIGKILL")
        decision = None if pausing is None else pausing.decision
        outcome = AttemptOutcome.COMPLETED if decision is None else decision.outcome
        return self._end(name, training, outcome, None if decision is None else decision.reason)

    def _end(self, name: str, training: Training, outcome: AttemptOutcome, reason: str | None = None) -> None:
        last = self.store.runs.curve(training.id).items
        value = last[-1].val_loss if last and outcome == AttemptOutcome.COMPLETED else None
        error = TrainingErrorInfo(type="Diverged", message="NaN") if outcome == AttemptOutcome.DIVERGED else None
        end = RunEnd(outcome, {} if value is None else {"val_loss": value}, error, trial_value=value, reason=reason)
        self.store.runs.finish_training(training.id, training.attempt, "worker", NOW, end)
        self.backend.end(name, RunState.SUCCEEDED, exit_code=0)

    def _checkpoints(self, id: str) -> list[str]:
        return [key for key in self.artifacts.keys(f"{id}/") if "checkpoint-" in key]

    def _keep(self, id: str, epoch: int) -> None:
        for kind in ("checkpoint", "shared"):
            self.artifacts.put(f"{id}/{kind}-{epoch:06d}/state.pt", Path(__file__))

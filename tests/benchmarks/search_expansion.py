"""Our searches, whole: a job in a store, trials that passes of the controller create and launch, and runs that write
what runs write and ask the store whether they go on."""

from __future__ import annotations

from typing import Any

from mitorch_service.controller.loop import Controller
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training, TrainingRow, run_name
from mitorch_service.runs.search.trial_stopping import TrialStopping
from mitorch_service.runs.search.trial_values import with_trial_values
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.runs import RunEnd
from tests.benchmarks.search_simulation import Settings, Simulated
from tests.fakes import FakeBackend
from tests.samples import NOW, a_job, a_result

_WORKER = "worker"
_OBJECTIVES = ("score", "score 2")


class Ours(Simulated):
    """Asks for a pass whenever a worker is free."""

    def __init__(self, algorithm: str, settings: Settings) -> None:
        rule = None if settings.stopping == "none" else EarlyStopping.model_validate({"rule": settings.stopping})
        self._names = _OBJECTIVES[: len(settings.directions)]
        search = SearchConfig(
            algorithm=algorithm,
            objective=list(self._names),
            direction=list(settings.directions),
            max_trials=settings.max_trials,
            max_concurrent=settings.parallel,
            early_stopping=rule,
            seed=settings.seed,
        )
        self._store = SqliteStore(None)
        self._store.jobs.add_job(a_job(config={**settings.space, "max_epochs": settings.max_epochs}, search=search))
        self._backend = FakeBackend(slots=settings.parallel)
        self._controller = Controller(self._store, {"fake": self._backend})
        self._running: dict[int, tuple[Training, TrialStopping | None]] = {}

    def begin(self) -> tuple[int, dict[str, Any]]:
        if not self._waiting():
            self._controller.tick(NOW)
        row = self._waiting()[0]
        training = self._store.runs.start_training(row.id, row.attempt, _WORKER, NOW)
        assert training.trial is not None
        self._running[training.trial.number] = training, TrialStopping.of(self._store, training)
        return training.trial.number, training.config

    def epoch_ended(self, number: int, epoch: int, value: float) -> bool:
        training, stopping = self._running[number]
        result = a_result(epoch, metrics={self._names[0]: value})
        self._store.runs.record_epoch(training.id, training.attempt, training.max_epochs, result)
        return stopping is not None and stopping.ends_after(result)

    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        training, _ = self._running.pop(number)
        values = value if isinstance(value, tuple) else (value,)
        end = with_trial_values(training, RunEnd(AttemptOutcome.COMPLETED, dict(zip(self._names, values, strict=True))))
        end = RunEnd(AttemptOutcome.PRUNED) if pruned else end
        self._store.runs.finish_training(training.id, training.attempt, _WORKER, NOW, end)
        self._backend.end(run_name(training.id, training.attempt), RunState.SUCCEEDED)

    def _waiting(self) -> list[TrainingRow]:
        """Launched and not started, the first trial first."""
        launched = [row for row in self._store.queue.active_trainings().items if row.status == "queued"]
        return sorted(launched, key=lambda row: row.arrival)

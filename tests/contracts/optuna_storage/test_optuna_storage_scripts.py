"""The studies of Optuna scripts: jobs that miquery shows and the controller leaves alone, written by many at once."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from mitorch_service.cli.views.query.open_view import Choice, open_view
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.observe.pareto_front import current_front
from mitorch_service.errors import NotAllowed
from mitorch_service.models.search.job import trial_id
from mitorch_service.models.search.objectives import Direction
from mitorch_service.optuna_storage import storage as storage_module
from mitorch_service.optuna_storage.ids import job_id_of
from mitorch_service.optuna_storage.storage import MiTorchStorage
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Collection, Guarded, Query
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.contracts.conftest import Database
from tests.fakes import FakeBackend, HookedDatabase, primitives
from tests.samples import NOW


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture
def storage(store: Store) -> MiTorchStorage:
    return MiTorchStorage(store)


def a_study(storage: MiTorchStorage, direction: Direction = "minimize") -> optuna.Study:
    """An empty study of a script."""
    return optuna.create_study(storage=storage, study_name="mine", direction=direction)


def test_the_example_runs_and_miquery_shows_the_study(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = database.where if database.kind == "mongo" else f"sqlite:///{database.where}"
    monkeypatch.setenv("MITORCH_DB_URI", address)
    monkeypatch.setenv("MITORCH_DB_NAME", database.name)
    monkeypatch.setenv("COLUMNS", "200")
    example = textwrap.dedent((storage_module.__doc__ or "").partition("::\n")[2].partition("\nA study is")[0])
    exec(compile(example, "example", "exec"), {"__name__": "example"})
    open_view(store, Choice((job_id_of("mine")[:8],), limit=3)).show()
    shown = capsys.readouterr().out
    assert "20 of 1000000: 20 completed" in shown
    assert "An Optuna script's study" in shown
    assert any(line.split()[-1:] == ["X"] for line in shown.splitlines())  # a column of the leaderboard
    open_view(store, Choice(job=job_id_of("mine"), limit=3)).show()
    assert "20 completed" in capsys.readouterr().out


def test_the_controller_leaves_the_trials_of_a_script_alone(store: Store, storage: MiTorchStorage) -> None:
    study = a_study(storage)
    study.enqueue_trial({"x": 1})
    study.enqueue_trial({"x": 2})
    running, failed, pruned = study.ask(), study.ask(), study.ask()
    running.suggest_float("x", 0, 3)
    running.report(0.5, 1)
    study.tell(failed, state=TrialState.FAIL)
    study.tell(pruned, state=TrialState.PRUNED)
    study.enqueue_trial({"x": 3})
    before = [trial.state for trial in study.trials]
    backend = FakeBackend("local", slots=8)
    report = Controller(store, {"local": backend}).tick(NOW)
    assert report.idle
    assert not [event for event in report.events if event.failed]
    assert backend.runs == {}
    assert [trial.state for trial in study.trials] == before
    for row in store.trainings.list_trainings(TrainingFilter(job_id=job_id_of("mine")), 10).items:
        with pytest.raises(NotAllowed):
            store.queue.retry_training(row.id, NOW)
        with pytest.raises(NotAllowed):
            store.queue.set_priority(row.id, 1)
    assert before.count(TrialState.WAITING) == 1


def test_the_leaderboard_has_the_values_and_parameters_of_a_script(store: Store, storage: MiTorchStorage) -> None:
    study = a_study(storage, direction="maximize")
    for value in (0.5, 0.9, float("inf"), 0.1):
        trial = study.ask()
        trial.suggest_categorical("model.name", ["small", "large"])
        trial.suggest_float("$lr", 1e-4, 1, log=True)
        trial.report(value / 2, 10)
        study.tell(trial, value)
    best = store.jobs.best_trials(job_id_of("mine"), "maximize", 10).items
    assert [row.trial.value for row in best if row.trial] == [0.9, 0.5, 0.1]
    assert best[0].trial is not None
    assert set(best[0].trial.parameters) == {"model.name", "_%24lr"}
    assert best[0].progress is not None and best[0].progress.epoch == 10
    assert [result.metrics for result in store.runs.curve(best[0].id).items] == [{"value": 0.45}]
    assert study.best_value == float("inf")
    assert set(study.best_params) == {"model.name", "$lr"}


def test_what_has_ended_is_read_once(storage: MiTorchStorage, asked: list[Query]) -> None:
    study = a_study(storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=12)
    study.ask()
    assert len(study.trials) == 13
    asked.clear()
    assert len(study.get_trials(deepcopy=False)) == 13
    job, again, new = asked
    assert (job.collection, job.limit) == ("jobs", 2)
    assert again.where == {"_id": (trial_id(job_id_of("mine"), 12),)}
    assert new.where == {"job_id": job_id_of("mine")}
    assert new.after is not None and new.after[1] == trial_id(job_id_of("mine"), 12)
    asked.clear()
    _ = study.best_value
    assert all("_id" in query.where or query.limit in (2, 5) for query in asked)


def test_every_query_uses_an_index(storage: MiTorchStorage, store: Store, asked: list[Query]) -> None:
    study = a_study(storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    study.ask()
    _ = (study.trials, study.best_trial, optuna.get_all_study_summaries(storage))
    for query in {repr(query): query for query in asked}.values():
        plan = primitives(store).explain(query)
        assert plan.uses_index and not plan.sorts, plan.text


def test_trials_that_are_begun_at_once_have_numbers_of_their_own(open_store: Callable[[], Store]) -> None:
    storages = [MiTorchStorage(open_store()) for _ in range(4)]
    storages[0].create_new_study([optuna.study.StudyDirection.MINIMIZE], "mine")

    def work(storage: MiTorchStorage) -> None:
        study = optuna.load_study(storage=storage, study_name="mine", sampler=optuna.samplers.RandomSampler())
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=8)

    threads = [threading.Thread(target=work, args=(storage,)) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = optuna.load_study(storage=storages[0], study_name="mine").trials
    assert [trial.number for trial in trials] == list(range(32))
    assert all(trial.state == TrialState.COMPLETE and trial.params["x"] == trial.value for trial in trials)


def test_one_waiting_trial_is_run_by_one_script(open_store: Callable[[], Store]) -> None:
    mine, yours = MiTorchStorage(open_store()), MiTorchStorage(open_store())
    study = a_study(mine)
    study.enqueue_trial({"x": 1})
    trial_id = study.trials[0]._trial_id
    assert [s.set_trial_state_values(trial_id, TrialState.RUNNING) for s in (mine, yours)] == [True, False]


def test_a_worker_of_a_deleted_study_writes_nothing_into_the_next_of_its_name(open_store: Callable[[], Store]) -> None:
    mine, yours = MiTorchStorage(open_store()), MiTorchStorage(open_store())
    old = a_study(mine).ask()
    optuna.delete_study(study_name="mine", storage=yours)
    new = a_study(yours).ask()
    assert new._trial_id == old._trial_id
    with pytest.raises(KeyError, match="was deleted"):
        old.report(0.5, 1)
    with pytest.raises(KeyError, match="was deleted"):
        mine.set_trial_state_values(old._trial_id, TrialState.COMPLETE, [1.0])
    assert yours.get_trial(new._trial_id).state == TrialState.RUNNING
    new.suggest_float("x", 0, 1)
    new.study.tell(new, 2.0)
    assert [trial.value for trial in optuna.load_study(storage=mine, study_name="mine").trials] == [2.0]


def test_a_deleted_study_leaves_nothing(store: Store, storage: MiTorchStorage) -> None:
    study = a_study(storage)
    trial = study.ask()
    trial.report(0.5, 1)
    study.tell(trial, 0.5)
    (row,) = store.trainings.list_trainings(TrainingFilter(), 10).items
    optuna.delete_study(study_name="mine", storage=storage)
    assert store.trainings.list_trainings(TrainingFilter(), 10).items == []
    assert store.jobs.list_jobs(10).items == []
    assert store.runs.curve(row.id).items == []


@pytest.mark.parametrize(
    "sampler",
    [
        lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=3),
        lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=4),
    ],
    ids=["tpe", "nsga2"],
)
def test_optunas_samplers_and_pruners_do_on_it_what_they_do_in_memory(
    storage: MiTorchStorage, sampler: Callable[[], optuna.samplers.BaseSampler]
) -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        x = trial.suggest_float("x", -5, 5) if kind == "a" else trial.suggest_int("n", 1, 100, log=True)
        for step in range(3):
            trial.report(x * x / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(x * x)

    seen = []
    for where in (storage, optuna.storages.InMemoryStorage()):
        pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
        study = optuna.create_study(storage=where, sampler=sampler(), pruner=pruner)
        study.optimize(objective, n_trials=10)
        seen.append([(t.state, t.params, t.values, t.intermediate_values) for t in study.trials])
    assert seen[0] == seen[1]
    assert TrialState.PRUNED in [trial[0] for trial in seen[0]]


class Repeating(HookedDatabase):
    """A database that hears no answer to its first try of each write, and tries once more."""

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        twice = list(documents)
        super().insert(collection, twice)
        return super().insert(collection, twice)

    def change(self, change: Guarded) -> dict[str, Any] | None:
        super().change(change)
        return super().change(change)


def test_a_repeat_after_a_lost_answer_changes_nothing(store: Store) -> None:
    study = a_study(MiTorchStorage(Store(Repeating(primitives(store), lambda _: None))))
    study.enqueue_trial({"x": 0.5})

    def objective(trial: optuna.Trial) -> float:
        trial.report(0.25, 1)
        return trial.suggest_float("x", 0, 1)

    study.optimize(objective, n_trials=2)
    assert [(trial.state, trial.number) for trial in study.trials] == [
        (TrialState.COMPLETE, 0),
        (TrialState.COMPLETE, 1),
    ]
    assert (study.trials[0].value, study.trials[0].intermediate_values) == (0.5, {1: 0.25})
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        a_study(MiTorchStorage(store))


def test_several_objectives(
    store: Store, storage: MiTorchStorage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1 - trial.params["x"]), n_trials=5)
    assert len(study.best_trials) == 1
    with pytest.raises(RuntimeError):
        _ = study.best_trial
    study.tell(study.ask(), (float("-inf"), 0.5))
    job = store.jobs.get_job(job_id_of(study.study_name))
    assert (job.search.objectives(), job.search.directions()) == (("value_0", "value_1"), ("minimize", "maximize"))
    (best,) = current_front(store, job)
    assert best.values == study.trials[best.number].values
    assert best.number == min(study.trials[:5], key=lambda trial: trial.params["x"]).number
    open_view(store, Choice((job.id,), limit=3)).show()
    shown = capsys.readouterr().out
    assert "Pareto front: 1 trial\n" in shown and "VALUE_0" in shown.upper()


def test_optunas_command_works_on_the_settings_database(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/test.db"
    storage = MiTorchStorage(address)
    study = a_study(storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    module = "mitorch_service.optuna_storage.cli"
    command = [sys.executable, "-m", module, "best-trial", "--study-name", "mine", "-f", "json"]
    environment = {**os.environ, "MITORCH_DB_URI": address}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(shown.stdout)["value"] == study.best_value
    storage.close()


def test_a_store_that_is_open_already_is_not_pickled(storage: MiTorchStorage) -> None:
    with pytest.raises(TypeError, match="give it the database's URL"):
        pickle.dumps(storage)

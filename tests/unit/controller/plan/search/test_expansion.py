"""The trials of a search come out the same whatever becomes of the passes that create them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.observe.history import BEST, LATEST, read_history
from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.models.search.job import LEARNING, Job, SearchConfig
from mitorch_service.models.status import OPEN, AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.search.base import History, Sampler, TrialState
from mitorch_service.search.samplers.random import random_point
from mitorch_service.search.samplers.registry import sampler
from mitorch_service.search.space.space import Point, parse_space
from mitorch_service.stores.base import Store
from mitorch_service.stores.transitions import change_training
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, primitives
from tests.job_states import a_study
from tests.samples import CONFIG, NOW, a_job, a_trial, later

FINITE: dict[str, Any] = {**CONFIG, "batch_size": {"_choice": [16, 32, 64]}, "seed": {"_int": [0, 3]}}
CONTINUOUS: dict[str, Any] = {**CONFIG, "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-4, 1]}}}

ALONE = tuple(sorted(set(LEARNING) - {"auto"}))  # `auto` is one of them


def searching(config: dict[str, Any] = FINITE, **search: Any) -> Job:
    """A job that searches so."""
    return a_job(config=config, search=SearchConfig(**{"max_trials": 10, "seed": 5, **search}))


def one_pass(store: Store, job: Job, at_most: int, open_count: int = 0, failed: int = 0) -> list[Training]:
    """Creates trials as a pass does that is killed after so many; returns what it meant to create."""
    last, study = store.jobs.last_trial_number(job.id, job.arrival), a_study(job)
    meant = expand(job, study, last, open_count, NOW, read_history(store, job, study.space, last), failed)
    store.queue.add_trainings(meant[:at_most])
    return list(meant)


def parameters(store: Store, job: Job) -> list[Any]:
    """The rows of all trials, by number."""
    return [row.trial.parameters for row in store.jobs.iterate_trials(job.id)]


def end(store: Store, trial: Training, value: float | None, outcome: AttemptOutcome = AttemptOutcome.COMPLETED) -> None:
    """The trial ends so."""
    changes = {"trial.value": value}
    primitives(store).change(change_training(trial.id, OPEN, TrainingStatus(outcome.value), NOW, {}, changes))


@pytest.mark.parametrize("config", [FINITE, CONTINUOUS], ids=["finite", "continuous"])
@pytest.mark.parametrize("algorithm", ["random", "qmc", "grid"])
def test_the_sequence_does_not_depend_on_the_passes(store: Store, algorithm: str, config: dict[str, Any]) -> None:
    if algorithm == "grid" and config is CONTINUOUS:
        return
    whole, cut = searching(config, algorithm=algorithm), searching(config, algorithm=algorithm)
    one_pass(store, whole, 10)
    draw = random.Random(1)
    while len(parameters(store, cut)) < 10:
        one_pass(store, cut, draw.randrange(4))
    assert parameters(store, cut) == parameters(store, whole)


@pytest.mark.parametrize("algorithm", ALONE)
def test_nor_does_that_of_what_learns_given_the_same_history(store: Store, algorithm: str) -> None:
    whole, cut = (searching(CONTINUOUS, algorithm=algorithm, max_trials=64, max_concurrent=8) for _ in range(2))
    for job in (whole, cut):
        for trial in one_pass(store, job, 8):
            end(store, trial, abs(trial.config["lr_scheduler"]["base_lr"] - 0.01))
    one_pass(store, whole, 4)
    draw = random.Random(1)
    while len(parameters(store, cut)) < 12:
        one_pass(store, cut, min(draw.randrange(1, 3), 12 - len(parameters(store, cut))))
    assert parameters(store, cut) == parameters(store, whole)


def test_a_finite_space_has_no_point_twice(store: Store) -> None:
    job = searching(algorithm="auto", max_trials=50, max_concurrent=5)
    while created := one_pass(store, job, 3):
        for trial in created[:3]:
            end(store, trial, random.Random(trial.id).random())
    drawn = [str(sorted(one.items())) for one in parameters(store, job)]
    assert len(drawn) == len(set(drawn)) == 12


def test_suggestions_use_one_thread_and_leave_the_others_to_whom_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Recording(Sampler):
        def propose(self, history: History, number: int, salt: int) -> Point:
            seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            return random_point(self.study.space, str(number))

    monkeypatch.setattr(
        "mitorch_service.controller.plan.search.expansion.sampler", lambda name, study: Recording(study)
    )
    job = searching(CONTINUOUS, algorithm="gp", max_trials=2)
    assert sampler("gp", a_study(job))  # loads its libraries
    with threadpool_limits(2, user_api="blas"):
        assert len(expand(job, a_study(job), None, 0, NOW)) == 2
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}
    assert set(seen) == {1}


ALIKE: dict[str, Any] = {**CONFIG, "optimizer": {"_choice": [{"name": "sgd"}, {"name": "sgd", "momentum": 0.9}]}}


def test_options_of_one_label_stay_apart_when_they_are_read_back(store: Store) -> None:
    config = {**ALIKE, "batch_size": {"_choice": [32, 32]}, "seed": {"_choice": [1, 1.0]}}
    job = searching(config, algorithm="grid", max_trials=20, max_concurrent=3)
    while created := one_pass(store, job, 3):
        for trial in created:
            end(store, trial, 0.5)
    rows = list(store.jobs.iterate_trials(job.id))
    assert len(rows) == 8
    assert [row.trial.options for row in rows] == [
        {"optimizer": number // 4, "batch_size": number // 2 % 2, "seed": number % 2} for number in range(8)
    ]
    assert len({str(row.trial.parameters) for row in rows}) == 8
    space = a_study(job).space
    read = [space.at(record.point)[0] for record in read_history(store, job, space, 7)]
    assert read == [{**store.trainings.get_training(row.id).config} for row in rows]


def test_trials_that_were_stored_without_their_options_are_read_by_their_labels(store: Store) -> None:
    job = searching({**ALIKE, "batch_size": {"_choice": [16, 32, {"_int": [1, 3]}]}}, algorithm="tpe", max_trials=9)
    old = {"number": 0, "objective": "val_loss", "direction": "minimize", "value": 0.5}
    parameters = {"optimizer": "option 1", "batch_size": "option 2", "batch_size:option": 2}
    document = a_trial(job.id, 0).model_copy(update={"arrival": job.arrival}).to_document()
    primitives(store).insert("trainings", [{**document, "trial": {**old, "parameters": parameters}}])
    (record,) = read_history(store, job, a_study(job).space, 0)
    assert record.point == {"optimizer": 1, "batch_size": 2, "batch_size:option": 2}


@pytest.mark.parametrize("algorithm", ["auto", "random"])
def test_an_exhausted_space_ends_the_job(store: Store, algorithm: str) -> None:
    job = searching(algorithm=algorithm, max_trials=50, max_concurrent=5)
    store.jobs.add_job(job)
    controller = Controller(store, {"fake": FakeBackend(slots=50)})
    while store.jobs.get_job(job.id).status in (JobStatus.NEW, JobStatus.RUNNING):
        controller.tick(NOW)
        for row in store.queue.active_trainings().items:
            store.runs.start_training(row.id, 1, "w", NOW)
            loss = random.Random(row.id).random()
            store.runs.finish_training(row.id, 1, "w", NOW, RunEnd(AttemptOutcome.COMPLETED, trial_value=loss))
    assert store.jobs.get_job(job.id).status == JobStatus.COMPLETED
    drawn = {str(sorted(one.items())) for one in parameters(store, job)}
    assert len(drawn) == len(parameters(store, job)) == 12


def test_two_passes_at_once_create_each_trial_once(store: Store) -> None:
    job = searching(CONTINUOUS, algorithm="random")
    first = expand(job, a_study(job), None, 0, NOW)
    second = expand(job, a_study(job), None, 0, NOW)
    assert store.queue.add_trainings(first[:6]) == 6
    assert store.queue.add_trainings(second) == 4
    assert [trial.config for trial in first] == [trial.config for trial in second]


@pytest.mark.parametrize("algorithm", ALONE)
def test_what_ended_decides_what_comes_and_the_same_history_gives_the_same(store: Store, algorithm: str) -> None:
    job = searching(CONTINUOUS, algorithm=algorithm, max_trials=40, max_concurrent=8)
    for _ in range(4):
        for trial in one_pass(store, job, 8):
            rate = trial.config["lr_scheduler"]["base_lr"]
            end(store, trial, abs(rate - 0.01))
    again = one_pass(store, job, 0)
    assert [trial.config for trial in one_pass(store, job, 0)] == [trial.config for trial in again]
    errors = [abs(row["lr_scheduler.base_lr"] - 0.01) for row in parameters(store, job)]
    assert min(errors[16:]) <= min(errors[:8])


def test_failed_trials_are_replaced_as_far_as_may_fail(store: Store) -> None:
    job = searching(CONTINUOUS, algorithm="random", max_trials=4, max_failed=2)
    created = one_pass(store, job, 9)
    assert len(created) == 4
    assert len(one_pass(store, job, 0, failed=1)) == 1
    assert len(one_pass(store, job, 0, failed=9)) == 2
    unlimited = searching(CONTINUOUS, algorithm="random", max_trials=4)
    one_pass(store, unlimited, 9)
    assert one_pass(store, unlimited, 0, failed=3) == []


def test_enqueued_parameters_come_first_and_what_they_lack_is_drawn(store: Store) -> None:
    config = {**CONTINUOUS, "batch_size": {"_choice": [16, 32]}}
    first = {"lr_scheduler.base_lr": 0.5, "batch_size": 32}
    job = searching(config, enqueue=[first, {"batch_size": 16}], max_trials=3)
    one_pass(store, job, 3)
    drawn = parameters(store, job)
    assert drawn[0] == first
    assert drawn[1]["batch_size"] == 16


def test_a_history_tells_how_each_trial_stands(store: Store) -> None:
    job = searching(algorithm="tpe", max_trials=12, max_concurrent=12)
    created = one_pass(store, job, 12)
    end(store, created[0], 0.5)
    end(store, created[1], None)
    for number, outcome in ((2, "FAILED"), (3, "DIVERGED"), (4, "CANCELED"), (5, "PRUNED"), (6, "PAUSED")):
        end(store, created[number], None, AttemptOutcome[outcome])
    store.studies.change_study_trial(created[5].id, {}, {"trial.curve.3": 0.7})
    told = read_history(store, job, a_study(job).space, 7)
    states = ["completed", "completed", "failed", "diverged", "running", "pruned", "paused", "running"]
    assert [(record.number, record.state.value) for record in told] == list(enumerate(states))
    assert (told[0].values, told[1].values, told[5].curve) == ((0.5,), (), {3: 0.7})


def test_a_long_history_is_told_by_its_best_and_its_latest(store: Store) -> None:
    job = searching(CONTINUOUS, algorithm="tpe", max_trials=5000)
    single = searching(CONTINUOUS, algorithm="random", max_trials=1)
    drawn = expand(single, a_study(single), None, 0, NOW)[0].trial
    assert drawn is not None
    trials = []
    for number in range(1000):
        trial = drawn.model_copy(update={"number": number, "value": 0.001 * number})
        trials.append(a_trial(job.id, number).model_copy(update={"trial": trial, "arrival": job.arrival + number}))
    store.queue.add_trainings([trial.model_copy(update={"status": TrainingStatus.COMPLETED}) for trial in trials])
    told = [record.number for record in read_history(store, job, a_study(job).space, 999)]
    assert sorted(told) == [*range(BEST), *range(1000 - LATEST, 1000)]


def test_a_warm_start_brings_what_fits_and_measured_the_objective(store: Store) -> None:
    earlier = searching(CONTINUOUS, algorithm="random", max_trials=3)
    store.jobs.add_job(earlier)
    for number, trial in enumerate(one_pass(store, earlier, 3)):
        store.studies.change_study_trial(
            trial.id, {}, {"evaluation": {"val_loss": 0.1 * number} if number else {"x": 1.0}}
        )
    job = searching(CONTINUOUS, warm_start=[earlier.id])
    told = read_history(store, job, a_study(job).space, None)
    assert [(record.number, record.state) for record in told] == [(n, TrialState.COMPLETED) for n in (-1, -2)]
    space, _ = parse_space(CONTINUOUS)
    assert all(space.at(record.point) for record in told)


@pytest.mark.parametrize("picture", ["drawn", "broken"])
def test_a_search_that_has_ended_leaves_its_pictures(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: str
) -> None:
    def draw(history: History, objectives: Sequence[str], folder: Path) -> list[Path]:
        if picture == "broken":
            raise ZeroDivisionError("of a library")
        (folder / "history.png").write_text(f"{len(history.records)} {objectives}")
        return [folder / "history.png"]

    monkeypatch.setattr("mitorch_service.search.analysis.search_plots.draw_search", draw)
    artifacts, job = FolderArtifactStore(tmp_path), searching(CONTINUOUS, algorithm="random")
    store.jobs.add_job(job)
    controller = Controller(store, {"fake": FakeBackend(slots=20)}, artifacts=artifacts)
    controller.tick(NOW)
    for row in store.queue.active_trainings().items:
        store.runs.start_training(row.id, 1, "w", NOW)
        store.runs.finish_training(row.id, 1, "w", NOW, RunEnd(AttemptOutcome.COMPLETED, trial_value=row.arrival % 7))
    report = controller.tick(later(1))
    done = store.jobs.get_job(job.id)
    assert done.status == JobStatus.COMPLETED
    failures = [event.text for event in report.events if event.failed]
    if picture == "broken":
        assert failures == [f"job {job.id[:8]}: its plots cannot be drawn: ZeroDivisionError('of a library')"]
        assert done.artifacts == {}
    else:
        assert failures == []
        assert Path(done.artifacts["plot_history"]).read_text() == "10 ('val_loss',)"
        assert artifacts.keys(f"{job.id}/") == [f"{job.id}/plots/history.png"]


def test_a_job_whose_time_is_over_says_so_and_ends_with_what_runs(store: Store) -> None:
    job = searching(CONTINUOUS, max_time="2m", max_concurrent=1)
    store.jobs.add_job(job)
    controller = Controller(store, {"fake": FakeBackend()})
    controller.tick(NOW)
    controller.tick(later(121))
    assert store.jobs.get_job(job.id).note == "its time (search.max_time) of 120 s is over: no new trials"
    (row,) = store.jobs.latest_trials(job.id, 9)
    store.runs.start_training(row.id, 1, "w", NOW)
    done = RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5}, artifacts={"model": "m"}, trial_value=0.5)
    store.runs.finish_training(row.id, 1, "w", NOW, done)
    controller.tick(later(122))
    ended = store.jobs.get_job(job.id)
    assert (ended.status, ended.artifacts) == (JobStatus.COMPLETED, {"model": "m"})
    assert len(list(store.jobs.iterate_trials(job.id))) == 1


def test_without_the_packages_a_job_waits_and_the_others_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "scipy" else object())
    learning, plain = searching(CONTINUOUS), searching(CONTINUOUS, algorithm="random", max_trials=2)
    store.jobs.add_job(learning)
    store.jobs.add_job(plain)
    report = Controller(store, {"fake": FakeBackend()}).tick(NOW)
    assert any("mitorch-service[search]" in event.text and event.failed for event in report.events)
    assert len(list(store.jobs.iterate_trials(plain.id))) == 2
    assert store.jobs.get_job(learning.id).status == JobStatus.NEW

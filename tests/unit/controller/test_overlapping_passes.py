"""Two controllers at once, killed at any moment, with runs that end in every way: nothing is lost or launched twice."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from mitorch_service.backends.base import RunRequest
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import RunRefused, StaleAttempt
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import ENDED, AttemptOutcome, JobStatus
from mitorch_service.models.training import TrainingErrorInfo, TrainingRow, run_name
from mitorch_service.operations.lifecycle import trials
from mitorch_service.runs.search.trial_values import with_trial_values
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, HookedStore
from tests.samples import a_job, a_training, later

ROUNDS = 400
SLOTS = 3
TWO: dict[str, Any] = {"objective": ["val_loss", "seconds"], "direction": ["minimize", "minimize"]}


class Killed(BaseException):
    """The controller's process dies here."""


class DeadlyBackend(FakeBackend):
    """A cluster at which controllers die now and then, before or after the run was started, and that refuses some."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__("local", SLOTS)
        self._chance = chance
        self.most_running = 0
        self.deadly = True

    def submit(self, request: RunRequest) -> str | None:
        self._die()
        if self.deadly and request.name not in self.runs and self._chance.random() < 0.05:
            raise RunRefused(self.cluster, "not now", "Wait.", of_request=self._chance.random() < 0.5)
        url = super().submit(request)
        self.most_running = max(self.most_running, len(self.running()))
        self._die()
        return url

    def _die(self) -> None:
        if self.deadly and self._chance.random() < 0.1:
            raise Killed


class World:
    """Two controllers, one cluster, one database; each step of one controller may be overtaken by the other."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store: Store = SqliteStore(None)
        self.backend = DeadlyBackend(self.chance)
        self.seconds = 0
        self.written: Counter[tuple[str, int]] = Counter()  # attempts that were completed, by training
        hooked = HookedStore(self.store, self._interrupt)
        self.one = Controller(hooked, {"local": self.backend})
        self.other = Controller(self.store, {"local": self.backend})

    def round(self) -> bool:
        """A pass and something that happens to a run; returns whether there was nothing to do."""
        self.seconds += 120  # of which refusals need some
        idle = False
        with suppress(Killed):
            idle = self.chance.choice([self.one, self.other]).tick(later(self.seconds)).idle
        self._live()
        return idle

    def new_id(self) -> str:
        """An id that is the same each time the test runs."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self.backend.deadly = False

    def _interrupt(self, operation: str) -> None:
        """Before any operation of the first controller."""
        if not self.backend.deadly:
            return
        fate = self.chance.random()
        if fate < 0.01:
            raise Killed
        if fate < 0.15:
            with suppress(Killed):
                self.other.tick(later(self.seconds))
        elif fate < 0.25:
            self._live()

    def _live(self) -> None:
        """Something happens to one of the runs."""
        running = self.backend.running()
        if not running:
            return
        name = self.chance.choice(running)
        id, attempt = name.removeprefix("mt-").rsplit("-a", 1)
        if self.backend.deadly and self.chance.random() < 0.2:
            self.backend.end(name, RunState.KILLED, "it was killed by SIGKILL")
        else:
            self._complete(name, id, int(attempt))

    def _complete(self, name: str, id: str, attempt: int) -> None:
        """The run starts, works and ends, as `mirun` does."""
        try:
            training = self.store.runs.start_training(id, attempt, name, later(self.seconds))
            failed = self.backend.deadly and self.chance.random() < 0.2
            outcome = AttemptOutcome.FAILED if failed else AttemptOutcome.COMPLETED
            error = TrainingErrorInfo(type="DataError", message="bad image") if failed else None
            end = RunEnd(outcome, {"val_loss": 0.5, "seconds": _seconds(id)}, error)
            end = end if failed else with_trial_values(training, end)
            self.store.runs.finish_training(id, attempt, name, later(self.seconds), end)
            self.written[id, attempt] += 1
            self.backend.end(name, RunState.FAILED if failed else RunState.SUCCEEDED, exit_code=int(failed))
        except StaleAttempt:
            self.backend.end(name, RunState.SUCCEEDED, exit_code=0)


@pytest.mark.parametrize("seed", range(6))
def test_every_training_is_launched_once_per_attempt_and_ends(seed: int) -> None:
    world = World(seed)
    store = world.store
    trainings = [a_training(id=world.new_id(), priority=world.chance.randrange(3)) for _ in range(8)]
    store.queue.add_trainings(trainings)
    searches = [SearchConfig(max_trials=5, max_concurrent=limit, seed=seed) for limit in (2, None)]
    searches.append(SearchConfig(max_trials=9, max_concurrent=4, seed=seed, **TWO))
    jobs = [a_job(id=world.new_id(), search=search) for search in searches]
    for job in jobs:
        store.jobs.add_job(job)
    canceled = trainings[0].id
    for number in range(ROUNDS):
        idle = world.round()
        if number == 3 and store.trainings.get_training(canceled).status not in ENDED:
            store.queue.request_cancel(canceled, later(world.seconds))
        if number == 60:
            world.calm()
        if idle and number > 60:
            break
    else:
        pytest.fail("something never ended")

    rows = [store.trainings.get_training(training.id) for training in trainings]
    for job in jobs:
        counts = store.trainings.count_trainings(job.id)
        assert sum(counts.values()) == job.search.max_trials
        assert store.jobs.get_job(job.id).status == (
            JobStatus.COMPLETED if counts.get("completed") else JobStatus.FAILED
        )
        rows += [store.trainings.get_training(row.id) for row in _trials(store, job.id)]
    front = store.jobs.get_job(jobs[2].id).front or []
    assert {trial.training_id for trial in front} == _front(store, jobs[2].id)
    assert len(rows) == 27
    names = {run_name(row.id, number) for row in rows for number in range(1, row.attempt + 1)}
    assert set(world.backend.starts) <= names
    assert set(world.backend.starts.values()) == {1}
    assert world.backend.most_running <= SLOTS
    for row in rows:
        assert row.status in ENDED
        assert [attempt.number for attempt in row.attempts] == list(range(1, row.attempt + 1))
        assert all(attempt.outcome is not None for attempt in row.attempts)
        ends = [number for (id, number) in world.written if id == row.id]
        assert ends == ([row.attempt] if row.status in ("completed", "failed") and ends else [])
    store.close()


def _seconds(id: str) -> float:
    """The evaluation of each trial."""
    return float(int(id[:4], 16) % 5)


def _front(store: Store, job_id: str) -> set[str]:
    """The Pareto front of the completed trials: of equal losses those with the least seconds."""
    completed = [row.id for row in _trials(store, job_id) if row.status == "completed"]
    least = min(map(_seconds, completed), default=0)
    return {id for id in completed if _seconds(id) == least}


def _trials(store: Store, job_id: str) -> list[TrainingRow]:
    return list(trials(store, job_id))

"""Changes of a status: only those of the tables can be built, and no verb of the store makes another one."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from mitorch_service.errors import MiTorchError
from mitorch_service.models.status import (
    ACTIVE,
    ENDED,
    JOB_TRANSITIONS,
    OPEN,
    SCRIPT_TRIAL_TRANSITIONS,
    TRANSITIONS,
    AttemptOutcome,
    JobStatus,
    TrainingStatus,
)
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Guarded, Query
from mitorch_service.stores.sqlite.store import SqliteDatabase
from mitorch_service.stores.transitions import change_job, change_training, end_script_trial
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import HookedDatabase
from tests.samples import NOW, a_job, a_result, a_trial, an_attempt, later

TRAINING_PAIRS = list(product(TrainingStatus, TrainingStatus))
JOB_PAIRS = list(product(JobStatus, JobStatus))
WORKER = "worker"


@pytest.mark.parametrize(("before", "after"), TRAINING_PAIRS)
def test_a_training_changes_as_the_table_allows(before: TrainingStatus, after: TrainingStatus) -> None:
    if after not in TRANSITIONS[before]:
        with pytest.raises(ValueError, match=f"no transition leads from {before} to {after}"):
            change_training("id", (before,), after, NOW, {}, {})
        with pytest.raises(ValueError, match="no transition"):
            change_training("id", (*_befores(after), before), after, NOW, {}, {})
        return
    change = change_training("id", (before,), after, NOW, {"attempt": (2,)}, {"fence": 0})
    stored = ("paused", "pruned") if before == TrainingStatus.PAUSED else (before.value,)
    assert change.expect == {"status": stored, "attempt": (2,)}
    ended: dict[str, object] = {"ended_at": NOW} if after in ENDED else {"ended_at": None} if before in ENDED else {}
    assert change.set == {"status": after.value, f"status_times.{after.value}": NOW, "fence": 0, **ended}


@pytest.mark.parametrize(("before", "after"), JOB_PAIRS)
def test_a_job_changes_as_the_table_allows(before: JobStatus, after: JobStatus) -> None:
    if after not in JOB_TRANSITIONS[before]:
        with pytest.raises(ValueError, match=f"no transition leads from {before} to {after}"):
            change_job("id", (before,), after, NOW, {}, {})
        return
    change = change_job("id", (before,), after, NOW, {}, {})
    assert change.expect == {"status": (before.value,)}
    assert change.set == {"status": after.value, f"status_times.{after.value}": NOW}


@pytest.mark.parametrize("after", TrainingStatus)
def test_a_script_ends_its_trial_as_the_table_allows(after: TrainingStatus) -> None:
    if after not in SCRIPT_TRIAL_TRANSITIONS[TrainingStatus.CANCELED]:
        with pytest.raises(ValueError, match="no transition"):
            end_script_trial("id", after, NOW, {}, {})
        return
    assert end_script_trial("id", after, NOW, {}, {}).expect == {"status": ("canceled",)}


def test_no_transition_leads_from_nothing() -> None:
    with pytest.raises(ValueError, match="from nothing"):
        change_training("id", (), TrainingStatus.NEW, NOW, {}, {})


def test_a_status_is_set_in_no_other_way() -> None:
    with pytest.raises(ValueError, match="transitions"):
        Guarded("trainings", "id", {"status": ("new",)}, {"status": "queued"})


class Watched(HookedDatabase):
    """Notes the transitions that are really made."""

    def __init__(self, database: Primitives) -> None:
        super().__init__(database, lambda operation: None)
        self.made: dict[str, set[tuple[str, str]]] = {"trainings": set(), "jobs": set()}

    def change(self, change: Guarded) -> dict[str, Any] | None:
        before = list(self.find(Query(change.collection, {"_id": change.id})))
        after = super().change(change)
        if after is not None and "status" in change.set:
            self.made[change.collection].add((before[0]["status"], after["status"]))
        return after


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_of_the_store_in_any_order_the_tables_hold(seed: int) -> None:
    database = Watched(SqliteDatabase(None))
    store, chance = Store(database), random.Random(seed)
    job = a_job()
    store.jobs.add_job(job)
    ids = [_added(store, job.id, number) for number in range(4)]
    for step in range(1500):
        try:
            _ask(store, chance, job.id, chance.choice(ids), step)
        except MiTorchError:
            continue
        except ValueError as error:  # a caller's mistake: refused before anything was written
            assert "no transition" in str(error)
    allowed = {(before.value, after.value) for before, afters in TRANSITIONS.items() for after in afters}
    assert database.made["trainings"] <= allowed
    assert len(database.made["trainings"]) > 15
    jobs = {(before.value, after.value) for before, afters in JOB_TRANSITIONS.items() for after in afters}
    assert database.made["jobs"] <= jobs
    store.close()


def _befores(after: TrainingStatus) -> list[TrainingStatus]:
    return [before for before, afters in TRANSITIONS.items() if after in afters]


def _added(store: Store, job_id: str, number: int) -> str:
    trial = a_trial(job_id, number)
    store.queue.add_trainings([trial])
    return trial.id


def _ask(store: Store, chance: random.Random, job_id: str, id: str, step: int) -> None:
    """One verb that may change a status, with anything that it takes."""
    training = store.trainings.get_training(id)
    number = chance.choice([training.attempt, training.attempt, max(training.attempt - 1, 1)])
    end = RunEnd(chance.choice(list(AttemptOutcome)[:6]))
    error = TrainingErrorInfo(type="Lost", message="it is gone")
    status = chance.choice([TrainingStatus.NEW, TrainingStatus.FAILED, TrainingStatus.CANCELED])
    before = chance.choice([ACTIVE, (TrainingStatus.QUEUED,), OPEN])
    at, lost = later(step), AttemptOutcome.LOST
    verbs: dict[Callable[[], object], int] = {
        lambda: store.queue.claim_training(id, an_attempt(training, training.attempt + 1)): 20,
        lambda: store.runs.start_training(id, number, WORKER, at): 20,
        lambda: store.runs.record_epoch(id, number, 9, a_result(1)): 10,
        lambda: store.runs.heartbeat(id, number, at): 10,
        lambda: store.runs.finish_training(id, number, WORKER, at, end): 10,
        lambda: store.runs.retry_attempt(id, number, WORKER, at, end): 10,
        lambda: store.queue.end_attempt(id, number, at, lost, status, error, before): 10,
        lambda: store.queue.request_cancel(id, at): 10,
        lambda: store.queue.retry_training(id, at, chance.random() < 0.5): 10,
        lambda: store.rungs.resume_trial(training, chance.choice([None, 3]), 1, at): 10,
        lambda: store.queue.quarantine_training(id, at, "it is broken"): 2,
        lambda: store.jobs.update_job(job_id, {}, None, at): 2,
        lambda: store.jobs.finish_job(job_id, chance.choice(list(JobStatus)), at, None, {}, None): 1,
    }
    chance.choices(list(verbs), list(verbs.values()))[0]()

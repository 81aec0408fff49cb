"""Choosing what is changed: by ids, by a tag, a job, a status."""

from __future__ import annotations

import pytest

from mitorch_service.errors import AmbiguousId, NotAllowed, NotFound
from mitorch_service.models.search.job import Job, refit_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Refit, Training
from mitorch_service.operations.selection import (
    CANCELABLE,
    DELETABLE,
    EVERYTHING,
    REPEATABLE,
    Scope,
    Selection,
    select,
)
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import a_job, a_training, a_trial


@pytest.fixture
def queue(store: Store) -> dict[str, Training | Job]:
    """Trainings and jobs of two teams, in several statuses."""
    active = a_job(tags=["team=a"])
    ended = a_job(tags=["team=a"], status=JobStatus.COMPLETED)
    refit = Refit(job_id=ended.id, number=0, parameters={})
    trainings = {
        "waiting": a_training(tags=["team=a"]),
        "failed": a_training(tags=["team=a"], status=TrainingStatus.FAILED),
        "paused": a_training(tags=["team=a"], status=TrainingStatus.PAUSED),
        "other": a_training(tags=["team=b"]),
        "trial": a_trial(active.id, 0, tags=["team=a"]),
        "old trial": a_trial(ended.id, 0, tags=["team=a"], status=TrainingStatus.FAILED),
        "final": a_training(id=refit_id(ended.id), refit=refit, tags=["team=a"], status=TrainingStatus.COMPLETED),
    }
    store.queue.add_trainings(list(trainings.values()))
    for job in (active, ended):
        store.jobs.add_job(job)
    return {**trainings, "active": active, "ended": ended}


def names(queue: dict[str, Training | Job], store: Store, selection: Selection, scope: Scope) -> set[str]:
    known = {(("job" if isinstance(one, Job) else "training"), one.id): name for name, one in queue.items()}
    found = select(store, selection, scope)
    assert found.broken == []
    assert len(set(found.items)) == len(found.items)
    return {known[item] for item in found.items}


A = "team=a"


@pytest.mark.parametrize(
    ("selection", "scope", "expected"),
    [
        (Selection(tag=A), CANCELABLE, {"waiting", "active"}),
        (Selection(tag=A), REPEATABLE, {"failed", "old trial"}),
        (Selection(tag=A), DELETABLE, {"failed", "paused", "ended"}),
        (Selection(tag=A), EVERYTHING, {"waiting", "failed", "paused", "active", "ended"}),
        (Selection(tag="team=c"), EVERYTHING, set()),
        (Selection(tag=A, status=TrainingStatus.FAILED), DELETABLE, {"failed", "old trial"}),
        (Selection(status=TrainingStatus.PAUSED), REPEATABLE, {"paused"}),
        (Selection(status=TrainingStatus.NEW), CANCELABLE, {"waiting", "other", "trial"}),
    ],
)
def test_a_filter_chooses_what_can_be_changed(
    store: Store, queue: dict[str, Training | Job], selection: Selection, scope: Scope, expected: set[str]
) -> None:
    assert names(queue, store, selection, scope) == expected


def test_a_job_filters_its_trials_and_not_itself(store: Store, queue: dict[str, Training | Job]) -> None:
    assert names(queue, store, Selection(job=queue["active"].id[:13]), CANCELABLE) == {"trial"}
    assert names(queue, store, Selection(job=queue["ended"].id, tag=A), REPEATABLE) == {"old trial"}
    with pytest.raises(NotAllowed, match="is no job"):
        select(store, Selection(job=queue["waiting"].id), CANCELABLE)


def test_ids_may_be_shortened_and_repeated(store: Store, queue: dict[str, Training | Job]) -> None:
    waiting, active = queue["waiting"].id, queue["active"].id
    chosen = Selection((waiting[:13], active, waiting))
    assert select(store, chosen, CANCELABLE).items == [("training", waiting), ("job", active)]
    with pytest.raises(NotFound):
        select(store, Selection((waiting, "zzz")), CANCELABLE)
    twins = [a_training(id=f"{last}{'0' * 35}"[::-1]) for last in "ab"]
    store.queue.add_trainings(twins)
    with pytest.raises(AmbiguousId):
        select(store, Selection((waiting, "0000000")), CANCELABLE)


def test_a_document_that_cannot_be_read_is_named(store: Store) -> None:
    primitives(store).insert("trainings", [{**a_training(tags=[A]).to_document(), "created_at": "yesterday"}])
    found = select(store, Selection(tag=A), CANCELABLE)
    assert (found.items, len(found.broken)) == ([], 1)

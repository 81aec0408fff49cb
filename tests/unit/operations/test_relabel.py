"""Names, tags and notes that people change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.models.search.job import refit_id
from mitorch_service.models.training import Refit
from mitorch_service.operations.relabel import TagChange, change_tags, set_name, set_note
from mitorch_service.stores.base import Store
from tests.samples import a_job, a_training, a_trial


def test_the_tags_of_a_job_are_those_of_its_trials(store: Store) -> None:
    job = a_job(tags=["team=a"])
    job = job.model_copy(update={"search": job.search.model_copy(update={"refit": {"max_epochs": 9}})})
    store.jobs.add_job(job)
    trial = a_trial(job.id, 0, tags=["team=a"])
    final = a_training(id=refit_id(job.id), refit=Refit(job_id=job.id, number=0, parameters={}), tags=["team=a"])
    store.queue.add_trainings([trial, final])
    done = change_tags(store, "job", job.id, TagChange(("team=b",), ()))
    assert (done.kind, done.id, done.trials) == ("job", job.id, 2)
    assert store.jobs.get_job(job.id).tags == ["team=b"]
    assert [store.trainings.get_training(one.id).tags for one in (trial, final)] == [["team=b"], ["team=b"]]


def test_what_is_wrong_changes_nothing(store: Store) -> None:
    training = a_training(name="old", tags=["a=1"])
    store.queue.add_trainings([training])
    with pytest.raises(InvalidInput, match="2 problems"):
        TagChange(("team", "a=\0"), ())
    changes: list[Callable[[], object]] = [
        lambda: set_name(store, "training", training.id, "x" * 201),
        lambda: set_name(store, "training", training.id, "a\nb"),
        lambda: set_note(store, "training", training.id, "x" * 2001),
        lambda: change_tags(store, "training", training.id, TagChange(tuple(f"{n}=1" for n in range(51)), ())),
    ]
    for change in changes:
        with pytest.raises(InvalidInput):
            change()
    assert store.trainings.get_training(training.id) == training

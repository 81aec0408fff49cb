"""Finding trainings and jobs by ids and by names."""

from __future__ import annotations

import pytest

from mitorch_service.errors import AmbiguousId, AmbiguousName, NotAllowed, NotFound
from mitorch_service.insights.lookup import Found, look_up, look_up_training
from mitorch_service.stores.base import Store
from tests.samples import a_job, a_training, a_trial


def test_a_name_finds_what_no_id_begins_with(store: Store) -> None:
    first, same, other = a_training(name="first"), a_training(name="same"), a_training(name="same")
    store.queue.add_trainings([first, same, other])
    assert look_up(store, first.id[:13]) == Found("training", first.id)
    assert look_up(store, "first") == Found("training", first.id)
    assert look_up(store, "same") == Found("trainings", "same")
    with pytest.raises(NotFound, match="a whole name"):
        look_up(store, "firs")


def test_the_name_of_a_job_which_its_trials_have_too_is_the_job(store: Store) -> None:
    job = a_job(name="sweep")
    store.jobs.add_job(job)
    store.queue.add_trainings([a_trial(job.id, number, name="sweep") for number in range(3)])
    assert look_up(store, "sweep") == Found("job", job.id)
    store.jobs.add_job(a_job(name="sweep"))
    assert look_up(store, "sweep") == Found("jobs", "sweep")
    store.queue.add_trainings([a_training(name="sweep")])
    assert look_up(store, "sweep") == Found("trainings", "sweep")


def test_a_name_that_reads_like_the_beginning_of_ids_is_found(store: Store) -> None:
    ids = ["aa000000-0000-4000-8000-000000000000", "aa000000-0000-4000-8000-000000000001"]
    store.queue.add_trainings([a_training(id=id) for id in ids])
    with pytest.raises(AmbiguousId):
        look_up(store, "aa")
    named = a_training(name="aa", id="bb000000-0000-4000-8000-000000000000")
    store.queue.add_trainings([named])
    assert look_up(store, "aa") == Found("training", named.id)


def test_only_one_training_is_compared_for_each_name(store: Store) -> None:
    job, one, two = a_job(), a_training(name="twin"), a_training(name="twin")
    store.jobs.add_job(job)
    store.queue.add_trainings([one, two])
    assert look_up_training(store, one.id) == one.id
    with pytest.raises(AmbiguousName, match=f"{one.id}.* Give the id of one."):
        look_up_training(store, "twin")
    with pytest.raises(NotAllowed, match="ids of trainings or trials"):
        look_up_training(store, job.id)

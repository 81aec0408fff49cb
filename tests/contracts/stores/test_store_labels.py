"""Names, tags and notes of trainings and jobs, on each database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind, TrainingFilter
from tests.samples import NOW, a_job, a_training, an_attempt


def tagged(store: Store, tag: str) -> list[str]:
    return [row.id for row in store.trainings.list_trainings(TrainingFilter(tag=tag), 10).items]


def test_changed_tags_are_found_and_the_old_ones_no_more(store: Store) -> None:
    training = a_training(tags=["team=a", "stage=1"])
    store.queue.add_trainings([training, a_training(tags=["team=a"])])
    assert store.labels.change_tags("training", training.id, lambda tags: [tags[1], "team=b"]) == ["stage=1", "team=b"]
    assert tagged(store, "team=b") == tagged(store, "stage=1") == [training.id]
    assert training.id not in tagged(store, "team=a")
    assert store.labels.change_tags("training", training.id, lambda tags: []) == []
    assert tagged(store, "team=b") == []
    store.queue.request_cancel(training.id, NOW)
    store.labels.change_tags("training", training.id, lambda tags: ["x=1"])  # whatever its status
    store.queue.delete_training(training.id)
    assert tagged(store, "x=1") == []


def test_jobs_are_found_by_their_tags(store: Store) -> None:
    ended = JobStatus.COMPLETED
    jobs = [a_job(tags=["team=a"]), a_job(tags=["team=b"], status=ended), a_job(tags=["team=a", "x=1"])]
    for job in jobs:
        store.jobs.add_job(job)
    store.labels.change_tags("job", jobs[0].id, lambda tags: ["team=b"])
    assert [job.id for job in store.jobs.tagged_jobs("team=a")] == [jobs[2].id]
    assert {job.id for job in store.jobs.tagged_jobs("team=b")} == {jobs[0].id, jobs[1].id}
    store.jobs.delete_job(jobs[1].id)
    assert [job.id for job in store.jobs.tagged_jobs("team=b")] == [jobs[0].id]


def test_tags_that_others_change_meanwhile_are_not_lost(store: Store) -> None:
    training = a_training(tags=["a=1"])
    store.queue.add_trainings([training])
    others = iter((["a=1", "b=2"], ["a=1", "b=2", "c=3"]))

    def change(tags: Sequence[str]) -> list[str]:
        for other in others:
            store.labels.change_tags("training", training.id, lambda tags, other=other: other)  # type: ignore[misc]
            break
        return [*tags, "mine=1"]

    assert store.labels.change_tags("training", training.id, change) == ["a=1", "b=2", "c=3", "mine=1"]

    numbers = iter(range(100))

    def never_alone(tags: Sequence[str]) -> list[str]:
        other = [f"a={next(numbers)}"]
        store.labels.change_tags("training", training.id, lambda tags: other)
        return [*tags, "mine=2"]

    with pytest.raises(NotAllowed, match="being changed by others"):
        store.labels.change_tags("training", training.id, never_alone)


@pytest.mark.parametrize("kind", ["training", "job"])
def test_names_and_notes(store: Store, kind: Kind) -> None:
    training, job = a_training(name="old"), a_job()
    store.queue.add_trainings([training])
    store.jobs.add_job(job)
    id = training.id if kind == "training" else job.id
    read = store.trainings.get_training if kind == "training" else store.jobs.get_job
    store.labels.set_label(kind, id, "name", "new")
    store.labels.set_label(kind, id, "user_note", "the best one")
    store.labels.change_tags(kind, id, lambda tags: ["a=1"])
    document = read(id)
    assert (document.name, document.user_note, document.tags) == ("new", "the best one", ["a=1"])
    store.labels.set_label(kind, id, "name", None)
    store.labels.set_label(kind, id, "user_note", None)
    assert (read(id).name, read(id).user_note) == (None, None)
    for change in (
        lambda: store.labels.set_label(kind, new_id(), "name", "x"),
        lambda: store.labels.change_tags(kind, new_id(), lambda tags: ["a=1"]),
    ):
        with pytest.raises(NotFound):
            change()


def test_a_label_disturbs_no_run(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    store.labels.set_label("training", training.id, "name", "while it is queued")
    store.runs.start_training(training.id, 1, "worker", NOW)
    row = store.trainings.get_training(training.id)
    assert (row.status, row.name) == (TrainingStatus.RUNNING, "while it is queued")
    assert store.trainings.count_trainings() == {"running": 1}


def test_ids_that_begin_so(store: Store) -> None:
    old, new = a_training(id="aa" + new_id()[2:]), a_training(id="ab" + new_id()[2:], name="mine")
    job = a_job(id="aa" + new_id()[2:])
    store.queue.add_trainings([old, new])
    store.jobs.add_job(job)
    assert store.trainings.ids_beginning("", 10) == [
        (new.id, "training new mine"),
        (old.id, "training new"),
        (job.id, "job new"),
    ]
    assert [id for id, _ in store.trainings.ids_beginning("aa", 10)] == [old.id, job.id]
    assert [id for id, _ in store.trainings.ids_beginning("aa", 10, ("job",))] == [job.id]
    assert store.trainings.ids_beginning("*", 10) == []

"""Reading: pages, filters, counts, ids from prefixes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mitorch_service.errors import AmbiguousId, BrokenDocument, NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.epoch_records import record_id
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.runs import RunEnd, result_document
from mitorch_service.stores.verbs.trainings import Matches, TrainingFilter
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_result, a_training, a_trial, an_attempt

EVERYTHING = TrainingFilter()


def test_the_newest_come_first(store: Store) -> None:
    trainings = [a_training() for _ in range(5)]
    store.queue.add_trainings(trainings)
    listed = store.trainings.list_trainings(EVERYTHING, 3).items
    assert [row.id for row in listed] == [t.id for t in reversed(trainings)][:3]


def test_pages_stay_right_while_rows_are_added(store: Store) -> None:
    same_moment = [a_training(arrival=7) for _ in range(4)]
    trainings = [*(a_training() for _ in range(6)), *same_moment]
    store.queue.add_trainings(trainings)
    seen: list[TrainingRow] = []
    after = None
    while page := store.trainings.list_trainings(EVERYTHING, 3, after).items:
        seen += page
        after = (page[-1].arrival, page[-1].id)
        store.queue.add_trainings([a_training()])  # newer than all: belongs before the first page
    assert len(seen) == len({row.id for row in seen}) == 10
    assert {row.id for row in seen} == {t.id for t in trainings}
    assert [(r.arrival, r.id) for r in seen] == sorted(((r.arrival, r.id) for r in seen), reverse=True)


def test_names_find_trainings_and_jobs_and_count(store: Store) -> None:
    job = a_job(name="sweep")
    store.jobs.add_job(job)
    named, other = a_training(name="first"), a_training(name="second")
    store.queue.add_trainings([named, other, a_training(), a_trial(job.id, 0, name="sweep")])
    assert store.trainings.find_named("first") == [("training", named.id)]
    assert store.trainings.find_named("sweep") == [("job", job.id)]
    assert [row.id for row in store.trainings.list_trainings(TrainingFilter(name="first"), 5).items] == [named.id]
    assert [one.id for one in store.jobs.list_jobs(5, "sweep").items] == [job.id]
    assert store.trainings.count_matches(TrainingFilter(name="sweep")) == Matches(1, {"new": 1})
    assert store.trainings.count_matches(TrainingFilter(dataset="digits")) == Matches(4, {"new": 4})


def test_names_that_begin_so_are_found_each_once_behind_many_trials(store: Store) -> None:
    job = a_job(name="night sweep")
    store.jobs.add_job(job)
    trials = [a_trial(job.id, n, name="night sweep") for n in range(7)]
    names = ["nigh", "night", "night", "night" + chr(0xE9), "night*", "nights", "Night"]
    store.queue.add_trainings([*trials, a_training(), *(a_training(name=name) for name in names)])
    found = store.trainings.names_beginning("night", 4)
    assert found == [("night", "training"), ("night sweep", "job"), ("night*", "training"), ("nights", "training")]
    assert store.trainings.names_beginning("night" + chr(0xE9), 4) == [("night" + chr(0xE9), "training")]
    assert store.trainings.names_beginning("%", 4) == []


def test_what_is_read_for_programs_has_its_attempts(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    (row,) = store.trainings.iterate_trainings(EVERYTHING, 5)
    assert isinstance(row, TrainingRow)
    assert [attempt.number for attempt in row.attempts] == [1]


def test_filters_select_and_combine(store: Store) -> None:
    job = new_id()
    plain = a_training(tags=["team=a", "x=1"])
    other = a_training(tags=["team=b"], dataset=DatasetRef(name="faces", version=3))
    trials = [a_trial(job, number, tags=["team=a"]) for number in range(3)]
    store.queue.add_trainings([plain, other, *trials])
    store.queue.request_cancel(trials[0].id, NOW)

    def ids(filter: TrainingFilter) -> list[str]:
        return [row.id for row in store.trainings.list_trainings(filter, 10).items]

    assert ids(TrainingFilter(tag="team=a")) == [trials[2].id, trials[1].id, trials[0].id, plain.id]
    assert ids(TrainingFilter(tag="team=a", job_id=job, status=TrainingStatus.CANCELED)) == [trials[0].id]
    assert ids(TrainingFilter(dataset="faces")) == [other.id]
    assert ids(TrainingFilter(job_id=job)) == [t.id for t in reversed(trials)]
    assert ids(TrainingFilter(status=TrainingStatus.CANCELED)) == [trials[0].id]
    assert ids(TrainingFilter(tag="team=c")) == []


@pytest.mark.parametrize("filter", [TrainingFilter(tag="t=1"), TrainingFilter(status=TrainingStatus.NEW)])
def test_filtered_pages_continue(store: Store, filter: TrainingFilter) -> None:
    trainings = [a_training(tags=["t=1"]) for _ in range(5)]
    store.queue.add_trainings(trainings)
    first = store.trainings.list_trainings(filter, 3).items
    rest = store.trainings.list_trainings(filter, 3, (first[-1].arrival, first[-1].id)).items
    assert [row.id for row in [*first, *rest]] == [t.id for t in reversed(trainings)]


def test_counts_are_by_status(store: Store) -> None:
    job = new_id()
    trainings = [a_training(), a_training(), a_trial(job, 0)]
    store.queue.add_trainings(trainings)
    store.queue.claim_training(trainings[0].id, an_attempt(trainings[0]))
    assert store.trainings.count_trainings() == {"new": 2, "queued": 1}
    assert store.trainings.count_trainings(job) == {"new": 1}
    assert store.trainings.count_trainings(new_id()) == {}


def test_a_prefix_names_a_training_or_a_job(store: Store) -> None:
    training = a_training(id="aaaa1111-0000-4000-8000-000000000000")
    job = a_job(id="aaab2222-0000-4000-8000-000000000000")
    store.queue.add_trainings([training])
    store.jobs.add_job(job)
    assert store.trainings.resolve_id("aaaa") == ("training", training.id)
    assert store.trainings.resolve_id("AAAB") == ("job", job.id)
    assert store.trainings.resolve_id(training.id) == ("training", training.id)


def test_a_prefix_of_two_is_refused_and_both_are_named(store: Store) -> None:
    training = a_training(id="abcd1111-0000-4000-8000-000000000000")
    job = a_job(id="abcd2222-0000-4000-8000-000000000000")
    store.queue.add_trainings([training])
    store.jobs.add_job(job)
    with pytest.raises(AmbiguousId) as raised:
        store.trainings.resolve_id("abcd")
    assert raised.value.candidates == [training.id, job.id]


@pytest.mark.parametrize("prefix", ["", "ffff", "zzz", "a.*", "{", "a" * 40])
def test_a_prefix_of_nothing_is_not_found(store: Store, prefix: str) -> None:
    store.queue.add_trainings([a_training(id="abcd1111-0000-4000-8000-000000000000")])
    with pytest.raises(NotFound):
        store.trainings.resolve_id(prefix)


def test_an_unknown_training_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.trainings.get_training(new_id())


def test_counts_follow_whatever_happens_to_a_training(store: Store) -> None:
    job = new_id()
    trials = [a_trial(job, number) for number in range(4)]
    store.queue.add_trainings([*trials, a_training()])
    store.queue.add_trainings(trials)  # again: counts nothing twice
    store.queue.claim_trainings([(trial.id, an_attempt(trial)) for trial in trials[:2]])
    store.runs.start_training(trials[0].id, 1, "w", NOW)
    store.runs.finish_training(trials[0].id, 1, "w", NOW, RunEnd(AttemptOutcome.COMPLETED))
    store.queue.request_cancel(trials[2].id, NOW)
    store.queue.delete_training(trials[2].id)
    assert store.trainings.count_trainings(job) == {"completed": 1, "queued": 1, "new": 1}
    assert store.trainings.count_trainings() == {"completed": 1, "queued": 1, "new": 2}


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (1999, 1999), (2000, 2000), (5000, 2003)])
def test_a_long_list_is_iterated_page_by_page(store: Store, asked: list[Query], limit: int, expected: int) -> None:
    trainings = [a_training(arrival=number) for number in range(2003)]
    store.queue.add_trainings(trainings)
    rows = list(store.trainings.iterate_trainings(TrainingFilter(), limit))
    assert [row.id for row in rows if isinstance(row, TrainingRow)] == [t.id for t in reversed(trainings)][:expected]
    assert all(query.limit is not None and query.limit <= 1000 for query in asked)


def test_a_long_list_names_each_unreadable_training_once(store: Store) -> None:
    documents = [a_training(arrival=number).to_document() for number in range(2500)]
    broken = documents[5::100]
    for document in broken:
        document["attempts"] = "none"
        document["priority"] = "high"
    primitives(store).insert("trainings", documents)
    rows = list(store.trainings.iterate_trainings(TrainingFilter(), 5000))
    assert len(rows) == 2500
    assert {row.key for row in rows if isinstance(row, BrokenDocument)} == {document["_id"] for document in broken}


@pytest.mark.parametrize(("step", "most"), [(1, 120), (100, 250)])
def test_a_very_long_curve_is_read_in_places(store: Store, step: int, most: int, asked: list[Query]) -> None:
    """Whether all epochs are recorded or only some; what is left out is not read."""
    training, last = a_training(), 1200 * step
    result = a_result(1).to_document()
    records = [
        {**result, "_id": record_id(training.id, n), "training_id": training.id, "attempt": 1, "epoch": n}
        for n in range(step, last + 1, step)
    ]
    primitives(store).insert("training_results", records)
    for after in (0, last // 2):
        asked.clear()
        epochs = [record["epoch"] for record in store.runs.spread_records(training.id, most, after)]
        assert epochs == sorted(set(epochs))
        assert after < epochs[0] <= after + last // 20 and epochs[-1] == last
        longest = max(b - a for a, b in pairwise(epochs))
        assert longest <= last // 50 and len(epochs) <= most + 200
        assert len(asked) < 210


def test_epochs_beyond_a_million_come_behind_the_others(store: Store) -> None:
    training = a_training()
    epochs = [1, 100_000, 999_999, 1_000_000, 1_000_001, 9_999_999, 10_000_000]
    records = [result_document(training.id, 1, a_result(epoch)) for epoch in epochs]
    primitives(store).insert("training_results", records)
    assert [record["epoch"] for record in store.runs.curve_records(training.id)] == epochs
    assert [record["epoch"] for record in store.runs.curve_records(training.id, 999_999)] == epochs[3:]
    assert [one.epoch for one in store.runs.last_results(training.id, 2)] == epochs[:-3:-1]


def test_a_long_curve_is_read_page_by_page(store: Store, asked: list[Query]) -> None:
    training = a_training()
    records = [
        {"_id": f"{training.id}:{n:06d}", "training_id": training.id, "attempt": 1, **a_result(n).to_document()}
        for n in range(1, 2002)
    ]
    primitives(store).insert("training_results", records)
    assert [record["epoch"] for record in store.runs.curve_records(training.id)] == list(range(1, 2002))
    assert [query.limit for query in asked] == [1000] * 3

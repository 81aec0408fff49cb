"""The records that costs are added up from, and places in the queue: on both engines, through an index."""

from __future__ import annotations

import pytest

from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import SettledCost
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.costs import Account
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_training, a_trial, an_attempt

pytestmark = pytest.mark.own_database


def accounts(store: Store, arrival: int, job_id: str | None = None) -> list[Account]:
    """All from all pages."""
    return [account for page in store.costs.account_pages(arrival, job_id) for account in page.items]


def attempted(training: Training) -> Training:
    """With one attempt."""
    attempt = an_attempt(training).model_copy(update={"nodes": 3, "price": 0.25})
    return training.model_copy(update={"attempt": 1, "attempts": [attempt]})


def test_accounts_are_read_from_an_arrival_on_the_oldest_first(store: Store) -> None:
    trainings = [attempted(a_training(arrival=number)) for number in (5, 3, 9, 7)]
    store.queue.add_trainings(trainings)
    found = accounts(store, 5)
    assert [account.arrival for account in found] == [5, 7, 9]
    assert found[0] == Account(
        id=trainings[0].id, status=trainings[0].status, arrival=5, attempts=trainings[0].attempts
    )


def test_every_account_is_read_once_however_many_pages(store: Store) -> None:
    job_id = new_id()
    trials = [a_trial(job_id, number, arrival=number // 2) for number in range(2001)]
    store.queue.add_trainings([*trials, a_training(arrival=7)])
    assert sorted(a.id for a in accounts(store, 0, job_id)) == sorted(t.id for t in trials)
    assert len(accounts(store, 0)) == 2002
    assert len(accounts(store, 500, job_id)) == 1001
    assert accounts(store, 5000) == []


def test_an_account_that_cannot_be_read_hides_no_other(store: Store) -> None:
    good = attempted(a_training(arrival=2))
    primitives(store).insert(
        "trainings", [{**a_training(arrival=1).to_document(), "attempts": "none"}, good.to_document()]
    )
    (page,) = store.costs.account_pages(0)
    assert [account.id for account in page.items] == [good.id]
    assert len(page.broken) == 1


def test_what_is_settled_is_replaced_by_whoever_knew_what_was(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    first, second = SettledCost(below=3, cost=0.1 + 0.2), SettledCost(below=9, cost=1 / 3)
    assert store.costs.settle_cost(job.id, None, first, None)
    assert not store.costs.settle_cost(job.id, None, second, None)
    assert store.costs.settle_cost(job.id, first, second, "spent")
    done = store.jobs.get_job(job.id)
    assert (done.settled, done.note) == (second, "spent")
    assert store.costs.settle_cost(job.id, second, None, None)
    store.jobs.finish_job(job.id, JobStatus.COMPLETED, NOW, None, {}, None)
    assert not store.costs.settle_cost(job.id, None, first, None)


def test_a_place_counts_those_that_are_served_before(store: Store) -> None:
    waiting = [a_training(priority=p, arrival=a) for p, a in ((-5, 9), (7, 1), (7, 2), (7, 3), (8, 0))]
    store.queue.add_trainings([*waiting, a_training(priority=-9, status=TrainingStatus.FAILED)])
    assert [store.queue.count_ahead(training) for training in waiting] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("what", ["all accounts", "accounts of a job", "place"])
def test_every_read_uses_an_index_and_sorts_nothing(store: Store, asked: list[Query], what: str) -> None:
    job_id = new_id()
    store.queue.add_trainings([a_trial(job_id, number) if number % 2 else a_training() for number in range(5000)])
    if what == "place":
        store.queue.count_ahead(a_training(priority=100))
    else:
        next(store.costs.account_pages(1, job_id if what == "accounts of a job" else None))
    assert asked
    for query in asked:
        plan = primitives(store).explain(query)
        assert plan.uses_index, plan.text
        assert not plan.sorts, plan.text

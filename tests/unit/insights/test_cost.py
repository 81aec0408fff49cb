"""The cost report: by cluster, day and job since a time."""

from __future__ import annotations

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.cost import cost_of_job, read_costs
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.costs import Account
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_training, an_attempt, later


def add(store: Store, hours: float, job_id: str | None, arrival: int) -> None:
    """A training that took so many hours of a node for 2.00 an hour."""
    training = a_training(job_id=job_id, arrival=arrival, attempt=1)
    times = {"started_at": NOW, "ended_at": later(hours * 3600), "price": 2.0}
    attempt = an_attempt(training).model_copy(update=times)
    store.queue.add_trainings([training.model_copy(update={"attempts": [attempt]})])


def test_costs_are_added_up_since_a_time(store: Store) -> None:
    begin = int(NOW.timestamp() * 1e6)
    cheap, dear = a_job().id, a_job().id
    add(store, 1, cheap, begin + 1)
    add(store, 3, dear, begin + 2)
    add(store, 5, None, begin - 1)  # before
    primitives(store).insert("trainings", [{"_id": "broken", "arrival": begin + 3}])
    report = read_costs(store, NOW, later(9 * 3600))
    assert report.jobs() == [(dear, Cost(3, 6)), (cheap, Cost(1, 2))]
    assert report.bill.by_cluster == {"local": Cost(4, 8)}
    assert (report.bill.total, report.unreadable, report.since) == (Cost(4, 8), 1, NOW)


def test_a_job_costs_what_its_trials_and_its_final_training_do() -> None:
    training = a_training(attempt=1)
    attempt = an_attempt(training).model_copy(update={"started_at": NOW, "ended_at": later(3600), "price": 2.0})
    final = training.model_copy(update={"attempts": [attempt]})
    account = Account(id="a", status=training.status, arrival=0, attempts=[attempt, attempt])
    assert cost_of_job([account], final, NOW) == Cost(3, 6)
    assert cost_of_job([], None, NOW) == Cost()
    assert cost_of_job(None, final, NOW) is None

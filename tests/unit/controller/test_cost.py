"""Node hours and costs of attempts, and how they add up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from mitorch_service.controller.observe.cost import Bill, Cost, attempt_cost, cost_by_day, training_cost
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, Refit
from mitorch_service.stores.verbs.costs import Account
from tests.samples import NOW, a_training, an_attempt, later

HOUR = 3600.0


def attempt(**fields: Any) -> Attempt:
    """An attempt on a cluster whose nodes cost 2.00 an hour."""
    return an_attempt(a_training()).model_copy(update={"submitted_at": NOW, "price": 2.0, **fields})


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"started_at": later(HOUR), "ended_at": later(4 * HOUR)}, Cost(3, 6)),
        ({"started_at": later(HOUR), "ended_at": later(4 * HOUR), "nodes": 4}, Cost(12, 24)),
        ({"started_at": later(HOUR), "ended_at": later(4 * HOUR), "price": None}, Cost(3, 0)),
        ({"started_at": later(9 * HOUR)}, Cost(1, 2)),  # it runs
        ({}, Cost()),  # it waits for its node
        ({"ended_at": later(HOUR), "outcome": AttemptOutcome.LOST}, Cost(1, 2)),  # it died before it reported
        ({"ended_at": later(HOUR), "outcome": AttemptOutcome.CANCELED}, Cost()),  # it never had a node
        ({"ended_at": later(HOUR), "outcome": AttemptOutcome.LOST, "submitted_at": None}, Cost()),
        ({"started_at": later(HOUR), "ended_at": later(0)}, Cost()),  # clocks differ
    ],
)
def test_an_attempt_costs_from_its_start_to_its_end(fields: dict[str, Any], cost: Cost) -> None:
    assert attempt_cost(attempt(**fields), later(10 * HOUR)) == cost


def test_a_training_costs_what_all_its_attempts_do() -> None:
    attempts = [
        attempt(started_at=NOW, ended_at=later(HOUR), outcome=AttemptOutcome.LOST, price=1.0),
        attempt(number=2, started_at=later(2 * HOUR)),
    ]
    assert training_cost(attempts, later(3 * HOUR)) == Cost(2, 3)
    assert training_cost([], NOW) == Cost()


def test_a_run_over_midnight_is_shared_between_the_days() -> None:
    begin, end = datetime(2026, 11, 20, 22, tzinfo=UTC), datetime(2026, 11, 22, 6, tzinfo=UTC)
    days = list(cost_by_day(attempt(started_at=begin, ended_at=end), NOW))
    assert days == [
        (date(2026, 11, 20), Cost(2, 4)),
        (date(2026, 11, 21), Cost(24, 48)),
        (date(2026, 11, 22), Cost(6, 12)),
    ]


def test_a_bill_adds_up_by_cluster_day_and_job() -> None:
    now = later(10 * HOUR)
    one = attempt(cluster="a", started_at=NOW, ended_at=later(HOUR))
    two = attempt(cluster="b", started_at=NOW, ended_at=later(2 * HOUR), price=5.0)
    bill = Bill()
    bill.add(Account(id="1", status=TrainingStatus.COMPLETED, arrival=1, attempts=[one, two]), now)
    bill.add(Account(id="2", status=TrainingStatus.COMPLETED, arrival=2, attempts=[two], job_id="j"), now)
    final = Refit(job_id="k", number=0, parameters={})
    bill.add(Account(id="3", status=TrainingStatus.COMPLETED, arrival=3, attempts=[one], refit=final), now)
    assert bill.by_cluster == {"a": Cost(2, 4), "b": Cost(4, 20)}
    assert bill.by_job == {None: Cost(3, 12), "j": Cost(2, 10), "k": Cost(1, 2)}
    assert bill.by_day == {NOW.date(): Cost(6, 24)}
    assert bill.total == Cost(6, 24)

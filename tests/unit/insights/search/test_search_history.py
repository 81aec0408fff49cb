"""The figures of a search's page, checked against Optuna's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import optuna
import pytest

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.search.search_columns import columns
from mitorch_service.insights.search.search_history import (
    SearchHistory,
    TrialPoint,
    best_first,
    front_numbers,
    improvements,
    read_history,
)
from mitorch_service.insights.search.trial_table import sorted_page
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Attempt
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_trial, later

COMPLETED = TrainingStatus.COMPLETED


def a_point(number: int, *values: float, **fields: Any) -> TrialPoint:
    """A completed trial that ended after as many minutes as its number says."""
    made: dict[str, Any] = {
        "id": f"trial {number}",
        "status": COMPLETED,
        "reached": None,
        "parameters": {},
        "epochs": 3,
        "max_epochs": 3,
        "reason": None,
        "ended_at": later(60 * number),
        "cost": Cost(1.0, 2.0),
    }
    return TrialPoint(number=number, values=values, **{**made, **fields})


def a_history(points: Sequence[TrialPoint], **search: Any) -> SearchHistory:
    job = a_job(search=SearchConfig(max_trials=100, **search), created_at=NOW)
    return SearchHistory(job, [], [], points, True)


def a_study(points: Sequence[TrialPoint], directions: Sequence[Direction]) -> optuna.Study:
    """The same trials as Optuna keeps them."""
    study = optuna.create_study(directions=list(directions))
    study.add_trials([optuna.trial.create_trial(values=list(point.values)) for point in points])
    return study


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_value_so_far_is_that_of_optuna(direction: Direction) -> None:
    draw = random.Random(3)
    points = [a_point(number, round(draw.gauss(0, 1), 1)) for number in range(60)]
    found = improvements(a_history(points, direction=direction))
    study = a_study([], [direction])
    for point, one in zip(points, found, strict=True):
        study.add_trial(optuna.trial.create_trial(value=point.values[0]))
        assert one.best == study.best_value
    assert sum(one.is_best for one in found) == len({one.best for one in found})
    assert best_first(points, direction)[0].number == study.best_trial.number


def test_time_counts_from_the_submission_and_cost_over_all_trials_that_had_ended() -> None:
    points = [
        a_point(0, 0.5, ended_at=NOW + timedelta(hours=2)),
        a_point(1, ended_at=NOW + timedelta(hours=1), status=TrainingStatus.FAILED),
        a_point(2, 0.4, ended_at=NOW + timedelta(hours=3)),
        a_point(3, ended_at=None, status=TrainingStatus.RUNNING, cost=Cost(9.0, 9.0)),
    ]
    found = improvements(a_history(points))
    assert [(one.trial.number, one.hours, one.cost) for one in found] == [(0, 2.0, 4.0), (2, 3.0, 6.0)]


@pytest.mark.parametrize("directions", [("minimize", "maximize"), ("minimize", "minimize", "maximize")])
def test_the_pareto_front_is_that_of_optuna(directions: tuple[Direction, ...]) -> None:
    draw = random.Random(5)
    points = [a_point(number, *(draw.randrange(12) / 4 for _ in directions)) for number in range(150)]
    expected = {trial.number for trial in a_study(points, directions).best_trials}
    assert front_numbers([*points, a_point(150)], directions) == expected
    assert len(expected) > 1


def test_a_search_is_read_with_its_attempts(store: Store) -> None:
    job = a_job(config={"lr": {"_loguniform": [0.01, 1]}}, search=SearchConfig(max_trials=9, objective="val_loss"))
    store.jobs.add_job(job)
    for number in range(3):
        _add(store, job, number, "completed" if number else "failed")
    history = read_history(store, job, later(3600))
    assert [(one.number, one.values, one.cost.cost) for one in history.trials] == [
        (0, (), 2.0),
        (1, (1.0,), 2.0),
        (2, (2.0,), 2.0),
    ]
    assert history.is_whole and [one.number for one in history.complete()] == [1, 2]


def _add(store: Store, job: Job, number: int, status: str) -> None:
    training = a_trial(job.id, number, arrival=job.arrival + number)
    attempt = Attempt(
        number=1, cluster="a", run_name="r", queued_at=NOW, started_at=NOW, ended_at=later(3600), price=2.0
    )
    trial = {**training.to_document()["trial"], "value": float(number) if status == "completed" else None}
    changes = {"status": status, "trial": trial, "attempts": [attempt.to_document()]}
    primitives(store).insert("trainings", [{**training.to_document(), **changes}])


CONDITIONAL = {
    "optimizer": {"_choice": [{"name": "sgd", "momentum": {"_uniform": [0, 0.9]}}, {"name": "adam"}]},
    "lr": {"_loguniform": [1e-4, 1e-1]},
    "size": {"_choice": [64, 128]},
}


def test_a_parameter_that_a_trial_does_not_have_is_a_gap() -> None:
    space, _ = parse_space(CONDITIONAL)
    points = [
        a_point(0, 0.1, parameters={"optimizer": "sgd", "optimizer.momentum": 0.5, "lr": 1e-3, "size": 64}),
        a_point(1, 0.2, parameters={"optimizer": "adam", "lr": 1e-2, "size": 128}),
        a_point(2, parameters={"optimizer": "adam", "lr": 1e-2, "size": 128, "of a script": 3}),
    ]
    found = {column.name: column for column in columns(space, points)}
    assert list(found) == ["optimizer", "optimizer.momentum", "lr", "size", "of a script"]
    assert found["optimizer"].options == ["sgd", "adam"] and list(found["optimizer"].values) == [0, 1, 1]
    assert found["optimizer.momentum"].conditional and list(found["optimizer.momentum"].values) == [0.5, None, None]
    assert (found["lr"].log, found["lr"].low, found["lr"].high, found["lr"].conditional) == (True, 1e-4, 1e-1, False)
    assert list(found["size"].values) == [0, 1, 1]
    assert list(found["of a script"].values) == [None, None, 3]


def test_a_table_is_sorted_and_paged_by_anything() -> None:
    space, _ = parse_space(CONDITIONAL)
    points = [
        a_point(0, 0.3, parameters={"lr": 1e-3}),
        a_point(1, 0.1, parameters={"lr": 1e-2}),
        a_point(2, reached=0.05, status=TrainingStatus.PRUNED, parameters={}),
        a_point(3, status=TrainingStatus.FAILED, parameters={"lr": 1e-4}),
    ]
    known = columns(space, points)

    def order(sort: str, direction: Direction = "minimize") -> list[int]:
        return [one.number for one in sorted_page(points, known, direction, sort).trials]

    assert order("value") == [1, 0, 2, 3]
    assert order("value", "maximize") == [0, 1, 2, 3]
    assert order("-value") == [0, 1, 2, 3]  # those without a value stay behind
    assert order("lr") == [3, 0, 1, 2] and order("-lr") == [1, 0, 3, 2]
    assert order("-number") == [3, 2, 1, 0]
    assert order("status") == [0, 1, 3, 2]
    assert order("no such column") == order("value")
    first = sorted_page(points, known, "minimize", "value", limit=3)
    assert first.after == 2
    rest = sorted_page(points, known, "minimize", "value", first.after, 3)
    assert [one.number for one in rest.trials] == [3] and rest.after is None

"""miquery's summary of a search: importance, savings, warnings."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.insights.cost import accounts_of_job
from mitorch_service.insights.search.search_fields import effort_json, search_fields
from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.training import Attempt, Progress, TrainingErrorInfo, Trial
from mitorch_service.search.samplers.random import random_point
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_training, later

SPACE: dict[str, Any] = {"lr": {"_uniform": [0, 1]}, "decay": {"_uniform": [0, 1]}, "max_epochs": 10}


def ended(store: Store, job: Job, number: int, status: str = "completed", epochs: int = 10, **more: Any) -> None:
    """A trial whose value follows from its learning rate alone: the lower the better."""
    space, _ = parse_space(SPACE)
    parameters = {**space.at(random_point(space, f"0/{number}"))[1], "lr": (number % 40) ** 2 / 1600}
    value = parameters["lr"] if status == "completed" else None
    trial = Trial(number=number, parameters=parameters, objective="val_loss", direction="minimize", value=value)
    progress = Progress(epoch=epochs, max_epochs=10, at=NOW)
    training = a_training(job_id=job.id, trial=trial, progress=progress, max_epochs=10, **more)
    primitives(store).insert("trainings", [{**training.to_document(), "status": status}])


def fields_of(insight: SearchInsight) -> list[tuple[str, object]]:
    """The lines that a person sees."""
    return search_fields(insight.effort, insight.importances(), insight.warnings())


def test_a_search_says_what_mattered_and_what_was_saved_and_what_went_wrong(store: Store) -> None:
    job = a_job(config=SPACE, search=SearchConfig(max_trials=50, seed=0))
    for number in range(40):
        ended(store, job, number)
    for number in range(40, 50):
        ended(store, job, number, "pruned", 2)
    for number in range(50, 53):
        ended(store, job, number, "failed", error=TrainingErrorInfo(type="OutOfMemory", message="m"))
    insight = SearchInsight(store, job, NOW)
    shares = insight.importance()
    assert list(shares) == ["lr", "decay"]
    assert shares["lr"] > 0.5
    edge = "lr: the best 5 trials are at the edge of its range, 0: widen it"
    assert insight.warnings() == ["3 failed with OutOfMemory", edge]
    fields = fields_of(insight)
    assert fields[:2] == [
        ("epochs", "420 run, 84% of the 500 without early stopping, which kept 10 trials short"),
        ("time", None),
    ]
    assert str(fields[2][1]).startswith("lr ")


def test_a_penalty_beyond_all_squares_is_only_a_very_bad_value(store: Store) -> None:
    job = a_job(config=SPACE, search=SearchConfig(max_trials=50, seed=0))
    space, _ = parse_space(SPACE)
    for number in range(30):
        parameters = {**space.at(random_point(space, f"0/{number}"))[1], "lr": number / 30}
        value = (1e155, 1e308, 1.7e308)[number % 3] if number > 20 else parameters["lr"]
        trial = Trial(number=number, parameters=parameters, objective="val_loss", direction="minimize", value=value)
        training = a_training(job_id=job.id, trial=trial)
        primitives(store).insert("trainings", [{**training.to_document(), "status": "completed"}])
    insight = SearchInsight(store, job, NOW)
    shares = insight.importance()
    assert list(shares) == ["lr", "decay"]
    assert sum(shares.values()) == pytest.approx(1)


def test_time_is_told_against_what_it_would_have_taken(store: Store) -> None:
    job = a_job(config=SPACE, search=SearchConfig(max_trials=50, seed=0))
    for number, (status, epochs, hours) in enumerate([("completed", 8, 4), ("pruned", 2, 1), ("failed", 3, 9)]):
        begin = {"cluster": "c", "run_name": "r", "queued_at": NOW, "started_at": NOW}
        attempts = [Attempt(number=1, ended_at=later(hours * 1800), nodes=2, **begin)]
        ended(store, job, number, status, epochs, attempts=attempts)
    accounts = accounts_of_job(store, job.id, 0, 3)
    insight = SearchInsight(store, job, NOW, accounts)
    assert effort_json(insight.effort) == {
        "epochs": 10,
        "epochs_without_stopping": 18,  # the completed one ended by itself
        "stopped": 1,
        "node_hours": 5.0,
        "node_hours_without_stopping": 9.0,
    }
    assert fields_of(insight)[1] == ("time", "5 node hours, 56% of the 9 without it, at each trial's own pace")
    assert accounts_of_job(store, job.id, 0, 10_001) is None


def test_of_several_objectives_each_has_its_importance(store: Store) -> None:
    names = ["val_loss", "f1"]
    job = a_job(config=SPACE, search=SearchConfig(max_trials=50, seed=0, objective=names))
    space, _ = parse_space(SPACE)
    for number in range(30):
        parameters = space.at(random_point(space, f"0/{number}"))[1]
        values = [parameters["lr"], parameters["decay"]]
        trial = Trial(number=number, parameters=parameters, objective="val_loss", direction="minimize", values=values)
        primitives(store).insert(
            "trainings", [{**a_training(job_id=job.id, trial=trial).to_document(), "status": "completed"}]
        )
    insight = SearchInsight(store, job, NOW)
    assert {name: next(iter(shares)) for name, shares in insight.importances().items()} == {
        "val_loss": "lr",
        "f1": "decay",
    }
    assert {"importance for val_loss", "importance for f1"} <= {name for name, _ in fields_of(insight)}


def test_a_job_without_trials_or_parameters_has_nothing_to_say(store: Store) -> None:
    job, script = a_job(config=SPACE), a_job(config={})
    ended(store, script, 0)
    ended(store, script, 1)
    assert fields_of(SearchInsight(store, job, NOW)) == [("epochs", None), ("time", None), ("importance", None)]
    assert SearchInsight(store, script, NOW).warnings() == []

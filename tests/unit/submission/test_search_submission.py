"""The checks of a job file's search settings."""

from __future__ import annotations

import re
import typing
from contextlib import suppress
from typing import Any

import pytest

from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.errors import AlreadyExists, InvalidInput, MissingExtra
from mitorch_service.insights.explanation import explanation
from mitorch_service.insights.search.prediction import predicted_share
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.search.job import Algorithm, Job, SearchConfig
from mitorch_service.models.training import Progress
from mitorch_service.search.samplers.registry import ALGORITHMS
from mitorch_service.search.stopping.registry import DEFAULT
from mitorch_service.stores.base import Store
from mitorch_service.submission.checks.check_objectives import objective_problems
from mitorch_service.submission.submission import Options, build_submission
from tests.job_states import a_study
from tests.samples import CONFIG, NOW, a_dataset, a_job, a_training, an_attempt, later

SPACE: dict[str, Any] = {
    **CONFIG,
    "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-4, 1e-1]}},
    "optimizer": {"_choice": [{"name": "adamw"}, {"name": "sgd", "momentum": {"_uniform": [0.5, 0.9]}}]},
    "batch_size": {"_choice": [32, 32, 64]},
}


def submitted(store: Store, **search: Any) -> Job:
    """The job that a file with this search asks for."""
    with suppress(AlreadyExists):
        store.datasets.add_dataset(a_dataset())
    data: dict[str, Any] = {
        "job_type": "search",
        "dataset": "digits",
        "config": SPACE,
        "search": {"max_trials": 20, **search},
    }
    job = build_submission(store, "job.json", data, Options(), NOW)
    assert isinstance(job, Job)
    return job


def test_every_algorithm_of_the_config_is_there() -> None:
    assert set(typing.get_args(Algorithm)) <= set(ALGORITHMS)


def test_the_default_is_automatic_and_a_stored_random_search_stays_one(store: Store) -> None:
    job = submitted(store)
    assert (job.search.algorithm, job.search.early_stopping) == ("auto", None)
    stored = a_job(search=SearchConfig(algorithm="random", max_trials=4)).to_document()
    assert Job.from_document(stored).search.algorithm == "random"


def test_initial_trials_reach_the_algorithm(store: Store) -> None:
    job = submitted(store, initial_trials=7)
    assert a_study(job).initial_trials == 7
    assert submitted(store).search.initial_trials is None


@pytest.mark.parametrize(
    ("given", "rule"),
    [(True, DEFAULT), ({}, DEFAULT), (False, None), (None, None), ({"rule": "asha", "factor": 4}, "asha")],
)
def test_early_stopping_is_a_rule_or_the_default(store: Store, given: Any, rule: str | None) -> None:
    found = submitted(store, early_stopping=given).search.early_stopping
    assert (None if found is None else found.rule) == rule


@pytest.mark.parametrize(("given", "seconds"), [(90, 90), ("90", None), ("2h", 7200), ("1.5 d", 129_600), ("30s", 30)])
def test_a_time_is_in_seconds_or_with_its_unit(store: Store, given: Any, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(InvalidInput, match="number with s, m, h or d"):
            submitted(store, max_time=given)
    else:
        assert submitted(store, max_time=given).search.max_time == seconds


BOTH: dict[str, Any] = {"objective": ["val_loss", "top1_accuracy"]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an endless grid": ({"algorithm": "grid"}, 'search.algorithm: "grid" needs values that can be counted: give lr_'),
    "an algorithm": ({"algorithm": "tpee"}, "search.algorithm"),
    "an option of another rule": (
        {"early_stopping": {"rule": "asha", "patience": 3}},
        "the rule 'asha' has no option patience; it has: min_epochs, factor",
    ),
    "a rule": ({"early_stopping": {"rule": "none"}}, "search.early_stopping.rule"),
    "a parameter": ({"enqueue": [{"lr": 1}]}, "search.enqueue[0]: there is no parameter lr; known: batch_size, lr_"),
    "a value": ({"enqueue": [{}, {"batch_size": 128}]}, "search.enqueue[1]: {'batch_size': 128} has a value"),
    "a value between two steps": (
        {"enqueue": [{"optimizer": "sgd", "optimizer.momentum": 0.95}]},
        "optimizer.momentum is 0.95, outside of 0.5 to 0.9; the nearest is 0.9",
    ),
    "a parameter of another option": (
        {"enqueue": [{"optimizer": "adamw", "optimizer.momentum": 0.9}]},
        'optimizer.momentum exists only where optimizer is "sgd": add that, or remove it',
    ),
    "initial trials of what does not learn": (
        {"algorithm": "random", "initial_trials": 3},
        "search: initial_trials is for algorithms that learn (auto, tpe, gp, cmaes",
    ),
    "no initial trials": ({"initial_trials": 0}, "search.initial_trials: must be 1 or more"),
    "more initial trials than are remembered": ({"initial_trials": 501}, "search.initial_trials: must be 500 or less"),
    "a warm start": ({"warm_start": ["00000000"]}, "search.warm_start: There is no training or job '00000000'"),
    "a second objective": (
        {"objective": ["val_loss", "top_accuracy"]},
        "search.objective: 'top_accuracy' is not measured; did you mean 'top1_accuracy' or 'top5_accuracy'?",
    ),
    "an objective twice": (
        {"objective": ["val_loss", "val_loss"]},
        "search.objective: contains val_loss twice",
    ),
    "no objective": ({"objective": []}, "search.objective: must be val_loss or the name of a metric, or a list"),
    "an objective that is no name": ({"objective": ["val_loss", 3]}, "search.objective: must be val_loss or the name"),
    "too few directions": (
        {**BOTH, "direction": ["minimize"]},
        "search.direction: has 1 for 2 objectives; write a list with one for each, or leave it out",
    ),
    "one direction for two": ({**BOTH, "direction": "minimize"}, "search.direction: has 1 for 2 objectives"),
    "two directions for one": (
        {"direction": ["minimize", "minimize"]},
        "search.direction: has 2 for 1 objectives",
    ),
    "a direction": (
        {"direction": "minimise"},
        "search.direction: \"minimise\" is not known; did you mean 'minimize'? known: minimize, maximize",
    ),
    "a direction of several": ({**BOTH, "direction": ["minimize", "up"]}, "search.direction: 'up' is not a direction"),
    "a Gaussian process for two": (
        {**BOTH, "algorithm": "gp"},
        'search.algorithm: "gp" searches for one objective, not for 2; use one of: auto, tpe, nsga2, random, qmc, grid',
    ),
    "CMA-ES for two": ({**BOTH, "algorithm": "cmaes"}, 'search.algorithm: "cmaes" searches for one objective'),
    "early stopping for two": (
        {**BOTH, "early_stopping": True},
        "search.early_stopping: compares trials by one objective, not by 2: leave it out",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_run_is_refused_with_its_place_and_a_remedy(store: Store, name: str) -> None:
    search, message = WRONG[name]
    with pytest.raises(InvalidInput, match=re.escape(message)):
        submitted(store, **search)


@pytest.mark.parametrize("direction", [None, ["minimize", "maximize"]])
def test_each_of_several_objectives_has_a_direction(store: Store, direction: Any) -> None:
    search = submitted(store, objective=["val_loss", "top1_accuracy"], direction=direction).search
    assert (search.objectives(), search.direction) == (("val_loss", "top1_accuracy"), ["minimize", "maximize"])
    assert "to minimize val_loss and maximize top1_accuracy:" in explanation(submitted(store, **BOTH))[0]


def test_one_objective_is_stored_as_ever(store: Store) -> None:
    job = submitted(store, objective=["val_loss"], direction=["minimize"])
    document = job.to_document()
    assert (document["search"]["objective"], document["search"]["direction"]) == ("val_loss", "minimize")
    assert not {"front", "front_version"} & document.keys()
    (trial, *_) = expand(job, a_study(job), None, 0, NOW)
    assert not {"objectives", "values", "unmerged"} & trial.to_document()["trial"].keys()


def test_too_many_objectives_are_refused_where_they_are_given() -> None:
    names = [f"m{number}" for number in range(6)]
    (problem,) = objective_problems(SearchConfig(objective=names, max_trials=9))
    assert str(problem).startswith("search.objective: has 6 objectives; with more than 5 hardly any trial")


def test_a_training_without_parameters_is_no_warm_start(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    with pytest.raises(InvalidInput, match="is no trial of a job"):
        submitted(store, warm_start=[training.id])


def test_without_the_packages_the_extra_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'mitorch-service[search]'")):
        submitted(store)
    assert submitted(store, algorithm="random")


def test_an_explanation_tells_the_size_the_idle_and_the_inactive(store: Store) -> None:
    lines = explanation(submitted(store, seed=1, early_stopping={"rule": "asha"}, max_trials=100))
    text = "\n".join(lines)
    assert "infinitely many points: 4 parameters, 2 of them continuous" in text
    assert "never matters: batch_size option 1 is the same as option 0" in text
    assert "at most 300 epochs in all" in text
    assert "early stopping (asha): about " in text
    assert "inactive: optimizer.momentum" in text


def test_earlier_trainings_tell_the_hours(store: Store) -> None:
    job = submitted(store, max_trials=20)
    assert "node hours" not in "\n".join(explanation(job, store))
    for model, seconds in (("test_resnet", 36), ("resnet50", 9999)):
        training = a_training(config={**CONFIG, "model": {"name": model}})
        attempt = an_attempt(training).model_copy(update={"started_at": NOW, "ended_at": later(seconds)})
        progress = Progress(epoch=2, max_epochs=3, at=NOW)
        store.queue.add_trainings(
            [training.model_copy(update={"attempts": [attempt], "attempt": 1, "progress": progress})]
        )
    assert "about 0.3 node hours, as earlier trainings took;" in explanation(job, store)  # 60 epochs of 18 s


def test_a_prediction_is_what_the_rule_does() -> None:
    assert predicted_share(None, 27, 100) == 1.0
    assert predicted_share(EarlyStopping(rule="patient"), 27, 100) == 1.0
    shares = [predicted_share(EarlyStopping(rule=rule), 27, 100) for rule in ("asha", "median")]
    assert all(0.1 < share < 0.7 for share in shares)

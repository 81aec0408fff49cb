"""The checks of a job file's settings for trials that pause."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest

from mitorch_service.errors import AlreadyExists, InvalidInput
from mitorch_service.insights.explanation import explanation
from mitorch_service.insights.search.prediction import predicted_promotion_share
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.search.job import Job
from mitorch_service.search.stopping.registry import DEFAULT
from mitorch_service.stores.base import Store
from mitorch_service.submission.submission import Options, build_submission
from tests.samples import NOW, SPACE, a_dataset

NINE = {**SPACE, "max_epochs": 9}
SCRIPT = {"script": {"command": "train {parameters}"}, "parameters": {"lr": {"_uniform": [0, 1]}}}


def submitted(store: Store, config: dict[str, Any] = NINE, **search: Any) -> Job:
    """The job that a file with this search asks for."""
    with suppress(AlreadyExists):
        store.datasets.add_dataset(a_dataset())
    values = {"max_trials": 20, "algorithm": "random", "seed": 1, **search}
    data: dict[str, Any] = {"job_type": "search", "dataset": "digits", "config": config, "search": values}
    job = build_submission(store, "job.json", data, Options(), NOW)
    assert isinstance(job, Job)
    return job


def test_promotion_has_the_default_rule(store: Store) -> None:
    search = submitted(store, resume_promoted=True).search
    assert search.early_stopping is not None
    assert search.early_stopping.rule == DEFAULT == "asha"
    assert search.pauses
    assert not submitted(store).search.pauses


def test_a_script_may_be_promoted_where_its_epochs_are_known(store: Store) -> None:
    assert submitted(store, {**SCRIPT, "max_epochs": 9}, resume_promoted=True).search.pauses


@pytest.mark.parametrize("stopping", [True, {"rule": "hyperband"}])
@pytest.mark.parametrize("epochs", [{}, {"max_epochs": 0}, {"max_epochs": {"_choice": [9, 0]}}])
def test_rungs_of_a_script_need_its_epochs(store: Store, stopping: Any, epochs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"config\.max_epochs: is needed by '(asha|hyperband)', which compares"):
        submitted(store, {**SCRIPT, **epochs}, early_stopping=stopping)
    assert submitted(store, {**SCRIPT, "max_epochs": {"_choice": [9, 3]}}, early_stopping=stopping)
    assert submitted(store, SCRIPT, early_stopping={"rule": "median"})


@pytest.mark.parametrize("search", [{"early_stopping": True}, {"resume_promoted": True}, {"algorithm": "pbt"}])
def test_rungs_of_a_training_by_steps_need_its_results(store: Store, search: dict[str, Any]) -> None:
    steps = {**{key: value for key, value in SPACE.items() if key != "max_epochs"}, "max_steps": 900}
    with pytest.raises(InvalidInput, match=r"config\.eval_every: (is needed by|must be a number with max_steps)"):
        submitted(store, steps, **search)
    job = submitted(store, {**steps, "eval_every": 100}, **search)
    assert (job.config["max_steps"], "max_epochs" in job.config) == (900, False)


CHOSEN = {**NINE, "max_epochs": {"_choice": [3, 9]}}
OPTIMIZERS = {**NINE, "optimizer": {"_choice": [{"name": "adamw"}, {"name": "sgd"}]}}
PBT = {"algorithm": "pbt"}
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no rule": (NINE, {"resume_promoted": True, "early_stopping": False}, "search.resume_promoted: needs early_stop"),
    "another rule": (
        NINE,
        {"resume_promoted": True, "early_stopping": {"rule": "hyperband"}},
        "search.early_stopping.rule: 'hyperband' does not resume the trials that it stopped: use \"asha\"",
    ),
    "several objectives": (
        NINE,
        {**PBT, "objective": ["val_loss", "top1_accuracy"]},
        '"pbt" searches for one objective, not for 2',
    ),
    "promotion by several objectives": (
        NINE,
        {"resume_promoted": True, "objective": ["val_loss", "top1_accuracy"]},
        "compares trials by one objective, not by 2",
    ),
    "a number": (NINE, {"resume_promoted": 3}, "search.resume_promoted"),
    "epochs that differ": (CHOSEN, {"resume_promoted": True}, "config.max_epochs: must be a number"),
    "epochs that are said to be unknown": (
        {**SCRIPT, "max_epochs": 0},
        {"resume_promoted": True},
        "config.max_epochs: must be a number",
    ),
    "epochs that are not known": (SCRIPT, {"resume_promoted": True}, "config.max_epochs: must be a number"),
    "a population's step": (NINE, {"population": {"step": 2}}, 'search.population: belongs to the algorithm "pbt"'),
    "promotion of a population": (NINE, {**PBT, "resume_promoted": True}, "search.resume_promoted: makes no sense"),
    "early stopping of it": (NINE, {**PBT, "early_stopping": True}, "search.early_stopping: makes no sense with"),
    "a script": ({**SCRIPT, "max_epochs": 9}, PBT, 'config.script: "pbt" needs checkpoints of the built-in training'),
    "a single member": (NINE, {**PBT, "max_trials": 1}, 'search.max_trials: with "pbt" is the size of the population'),
    "too many members": (NINE, {**PBT, "max_trials": 1001}, "from 2 to 1000 (it is 1001)"),
    "too few points": (
        {**NINE, "label_smoothing": {"_choice": [0.0, 0.1]}, "lr_scheduler": {"name": "cosine", "base_lr": 0.1}},
        PBT,
        "search.max_trials: the space has 2 points, too few for 20 members",
    ),
    "a step that is too long": (NINE, {**PBT, "population": {"step": 9}}, "search.population.step: 9 epochs make 0"),
    "too many steps": (
        {**NINE, "max_epochs": 500},
        {**PBT, "population": {"step": 2}},
        "search.population.step: 500 epochs make 249 comparisons of the members; there must be 1 to 100",
    ),
    "a share": (NINE, {**PBT, "population": {"share": 0.6}}, "search.population.share"),
    "epochs of members that differ": (CHOSEN, PBT, "config.max_epochs: may not differ between members"),
    "optimizers": (OPTIMIZERS, PBT, 'config.optimizer: may not differ between members of "pbt"'),
    "a batch": ({**NINE, "batch_size": {"_int": [8, 64]}}, PBT, "config.batch_size: may not differ"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_run_in_parts_is_refused_with_its_place_and_a_remedy(store: Store, name: str) -> None:
    config, search, message = WRONG[name]
    with pytest.raises(InvalidInput, match=re.escape(message)):
        submitted(store, config, **search)


def test_an_explanation_tells_the_epochs_of_both(store: Store) -> None:
    rule = {"rule": "asha", "factor": 3}
    promoted = "\n".join(explanation(submitted(store, resume_promoted=True, early_stopping=rule)))
    assert "trials pause after epochs 1, 3, and the best resume from their checkpoints:" in promoted
    share = predicted_promotion_share(EarlyStopping(rule="asha", factor=3), 9, 20)
    assert f"about {round(share * 180)} epochs ({share:.0%}) are run;" in promoted
    population = "\n".join(explanation(submitted(store, algorithm="pbt", population={"step": 4})))
    assert "all are run; after epochs 4, 8 the worst continue from checkpoints of the best;" in population


@pytest.mark.parametrize("trials", [1, 9, 90, 1000])
def test_a_prediction_of_promotion_counts_every_trials_first_rung_and_one_whole(trials: int) -> None:
    share = predicted_promotion_share(EarlyStopping(factor=3), 9, trials)
    assert (trials + 8) / (9 * trials) * 0.5 <= share <= 1
    if trials >= 90:
        assert 0.2 < share < 0.6  # a third is 1 + 2/3 + 6/9 of nine

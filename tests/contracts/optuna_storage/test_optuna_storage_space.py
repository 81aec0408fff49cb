"""Our search spaces as Optuna sees them, and a machine without Optuna."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.optuna_storage.fields import from_fields, to_fields
from mitorch_service.optuna_storage.ids import MAX_TRIALS, prefix_of, split_trial_id, study_id_of, trial_id_of
from mitorch_service.optuna_storage.space import parameters_of
from mitorch_service.search.space.space import parse_space


@pytest.mark.parametrize(
    ("expression", "value", "distribution"),
    [
        ({"_choice": ["sgd", "adamw"]}, "adamw", CategoricalDistribution(["sgd", "adamw"])),
        ({"_choice": [0.1, None, True]}, None, CategoricalDistribution([0.1, None, True])),
        ({"_uniform": [0.1, 0.95], "step": 0.2}, 0.5, FloatDistribution(0.1, 0.9, step=0.2)),
        ({"_loguniform": [1e-4, 1e-1]}, 0.01, FloatDistribution(1e-4, 1e-1, log=True)),
        ({"_int": [1, 10], "step": 4}, 9, IntDistribution(1, 9, step=4)),
        ({"_logint": [1, 100]}, 7, IntDistribution(1, 100, log=True)),
    ],
)
def test_each_expression_has_a_distribution_that_holds_its_values(
    expression: dict[str, Any], value: Any, distribution: BaseDistribution
) -> None:
    space, problems = parse_space({"x": expression})
    assert problems == []
    assert parameters_of(space, {"x": value}) == ({"x": value}, {"x": distribution})
    assert distribution._contains(distribution.to_internal_repr(value))


def test_parameters_of_one_name_in_different_options_are_told_apart() -> None:
    options = [{"name": "a", "x": {"_int": [1, 3]}}, {"name": "b", "x": {"_uniform": [0, 1]}}, {"name": "c"}]
    space, _ = parse_space({"model": {"_choice": options}})
    found = [parameters_of(space, {"model": name, "model.x": value})[0] for name, value in (("a", 2), ("b", 0.5))]
    assert found == [{"model": "a", "model.x": 2}, {"model": "b", "model.x#1": 0.5}]
    assert parameters_of(space, {"model": "c"})[0] == {"model": "c"}
    assert parameters_of(space, {"model": "of another space"}) == ({}, {})


def test_options_that_are_equal_to_optuna_are_told_apart() -> None:
    space, _ = parse_space({"x": {"_choice": [1, True, 2, 2, {"name": "true"}]}})
    found = []
    for index in range(5):
        values, distributions = parameters_of(space, {}, {"x": index})
        found.append(values["x"])
        assert distributions["x"].to_internal_repr(values["x"]) == index
    assert found == ["1", "true", "2", "2 (option 3)", "option 4"]


def test_numbers_lead_back_and_fit_a_float() -> None:
    job_id = "ffffffff-47ea-57aa-b79f-fa9b99c81e40"
    assert prefix_of(study_id_of(job_id)) == job_id[:8]
    last = trial_id_of(study_id_of(job_id), MAX_TRIALS - 1)
    assert split_trial_id(last) == (study_id_of(job_id), MAX_TRIALS - 1)
    assert int(float(last)) == last
    for none in (-1, 2**32):
        with pytest.raises(KeyError):
            prefix_of(none)


def test_any_name_is_a_field() -> None:
    values = {"a.b": 1, "$set": [2.5, None], "50%2E": "x", "": {"y": True}, "nul\0": float("inf")}
    fields = to_fields(values)
    assert not [key for key in fields if set(key) & set(".$\0")]
    assert from_fields(fields) == values


def test_a_machine_without_optuna_is_told_the_extra() -> None:
    code = "import sys; sys.modules['optuna'] = None; import mitorch_service.optuna_storage.storage"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'mitorch-service[search]'" in failed.stderr

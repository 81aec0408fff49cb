"""Editors accept what the commands accept, and mark what they refuse."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from mitorch_service.models.config.config_schema import config_schema
from mitorch_service.models.config.field_notes import field_notes
from mitorch_service.models.config.script import check_config
from mitorch_service.models.config.validation import check
from mitorch_service.models.search.job import JobConfig
from tests.documents import ROOT

SCHEMA = config_schema()
_SAMPLES = ROOT / "scripts" / "samples"
_CONFIGS = [path for path in sorted(_SAMPLES.glob("*.json")) if path.stem not in ("clusters", "datasets")]


def accepts(data: Any) -> bool:
    """Whether the schema accepts a config."""
    valid: bool = jsonschema.Draft202012Validator(SCHEMA).is_valid(data)
    return valid


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", _CONFIGS, ids=lambda path: path.name)
def test_samples_are_accepted(path: Any) -> None:
    assert accepts(json.loads(path.read_text()))


@pytest.mark.parametrize(
    "config",
    [
        {"model": "resnet18"},
        {"model": {"name": "resnet18"}, "input_size": 64, "num_processes": -1, "accumulate_grad_batches": 2},
        {"model": "x", "precision": "bf16", "dataset": "digits:2", "augmentation": {"train": "flip", "val": ["a"]}},
        {"model": "x", "augmentation": {"train": {"name": "a"}, "val": [{"name": "a", "options": {}}, "b"]}},
        {"model": "x", "lr_scheduler": {"name": "cosine_annealing", "warmup": "const"}},
        {"model": "x", "resources": {"cluster": "gpu", "gpus": 2}, "ema": None},
        {"model": "x", "resources": {"cluster": ["a", "b"]}},
        {"script": {"command": "python fit.py"}, "dataset": None},
        {"model": "x", "modle": 1},
        {"model": 5},
        {"model": {}},
        {"optimizer": {}},
        {"model": "x", "precision": "fp8"},
        {"model": "x", "batch_size": 0},
        {"model": "x", "optimizer": {"betas": [0.9]}},
        {"script": {}, "model": "x"},
        {"script": {"command": []}},
    ],
    ids=json.dumps,
)
def test_it_says_what_the_commands_say(config: dict[str, Any]) -> None:
    assert accepts(config) == (check_config(config)[0] is not None)


@pytest.mark.parametrize(
    "search",
    [
        {"max_trials": 2, "max_time": "2h", "early_stopping": True, "refit": False},
        {"max_trials": 2, "objective": ["val_loss", "f1"], "direction": ["minimize", "maximize"]},
        {"max_trials": 2, "early_stopping": {"rule": "median"}, "refit": {"max_epochs": 5}},
        {"max_trials": 0},
        {"max_trials": 2, "max_time": "soon"},
        {"max_trials": 2, "algorithm": "bayes"},
        {},
    ],
    ids=json.dumps,
)
def test_it_knows_searches(search: dict[str, Any]) -> None:
    job = {"job_type": "search", "config": {"model": "x", "batch_size": {"_choice": [1, 2]}}, "search": search}
    assert accepts(job) == (check(JobConfig, job)[0] is not None)


def test_each_key_of_a_config_says_what_it_is() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["DataConfig"]["properties"]["on_error"]["description"] == (
        "for a damaged image: fail the training, or skip the image and log it"
    )
    assert "description" in definitions["JobConfig"]["properties"]["config"]["properties"]["batch_size"]


def test_notes_continue_on_the_next_line_and_stand_before() -> None:
    from mitorch_service.models.config.training_config import DataConfig
    from mitorch_service.models.search.job import SearchConfig

    assert field_notes(DataConfig)["reduced_decoding"].endswith("the network's input; changes the pixels slightly")
    assert field_notes(SearchConfig)["initial_trials"].startswith("Trials drawn evenly from the space")

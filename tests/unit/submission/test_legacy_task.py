"""The original's search files, as its samples have them."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.search.job import Job
from mitorch_service.stores.base import Store
from mitorch_service.submission.submission import Options, build_submission
from mitorch_service.training.loop.config_check import check_names
from tests.job_states import a_study
from tests.samples import NOW, a_dataset

TASK: dict[str, Any] = {
    "name": "random_search",
    "status": "active",
    "num_trainings": 0,
    "max_trainings": 20,
    "config": {
        "model": {"name": "MobileNetV2"},
        "optimizer": {"name": {"_choice": ["sgd", "adam"]}, "momentum": 0.9, "weight_decay": {"_choice": [5e-4, 1e-5]}},
        "lr_scheduler": {
            "name": {"_choice": ["cosine_annealing", "linear_decreasing"]},
            "base_lr": {"_choice": [0.5, 0.1, 0.05]},
        },
        "augmentation": {"train": "random_resize", "val": "center_crop"},
        "batch_size": 64,
        "input_size": 224,
        "max_epochs": {"_choice": [50, 100]},
        "dataset": "Cifar10",
        "task_type": "multiclass_classification",
        "num_processes": -1,
        "accumulate_grad_batches": 2,
    },
}


def submitted(store: Store, data: dict[str, Any]) -> Job:
    store.datasets.add_dataset(a_dataset("Cifar10"))
    job = build_submission(
        store, "sample_random_search.json", data, Options(), NOW, lambda _, written: check_names(written)
    )
    assert isinstance(job, Job)
    return job


def test_it_is_a_random_search_of_as_many_trials(store: Store) -> None:
    job = submitted(store, TASK)
    assert (job.search.algorithm, job.search.max_trials, job.search.objective) == ("random", 20, "val_loss")
    assert str(job.dataset) == "Cifar10:1"
    trials = expand(job, a_study(job), None, 0, NOW)
    drawn = {str(trial.trial.parameters) for trial in trials if trial.trial is not None}
    assert len(drawn) == len(trials) == 20
    for trial in trials:
        assert TrainingConfig.model_validate(trial.config).lr_scheduler.name in ("cosine", "linear")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_trainings": 0}, "max_trainings: must be 1 or more (it is 0)"),
        ({"name": "grid_search"}, 'name: "grid_search" is not known'),
        ({"max_training": 3}, "max_training: unknown key; did you mean 'max_trainings'?"),
        ({"config": {**TASK["config"], "batch_size": "x"}}, "config.batch_size: must be a whole number"),
        ({"config": {**TASK["config"], "num_processes": 0}}, "num_processes must be -1 or a number of GPUs"),
    ],
)
def test_what_is_wrong_is_told(store: Store, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        submitted(store, {**TASK, **changes})
    assert told in str(caught.value)


def test_processes_are_gpus() -> None:
    config = {"model": {"name": "resnet18"}, "lr_scheduler": {"name": "cosine", "base_lr": 1}, "max_epochs": 3}
    resources = TrainingConfig.model_validate({**config, "num_processes": 4}).resources
    assert resources is not None
    assert resources.gpus == 4
    assert TrainingConfig.model_validate({**config, "num_processes": -1}).resources is None

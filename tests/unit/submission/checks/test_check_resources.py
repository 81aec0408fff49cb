"""The resources that a training requests: the config's form, the stored document, clusters that could provide them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Resources, Training, TrainingRow
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.checks.check_resources import resource_check
from mitorch_service.submission.submission import Options, build_submission
from tests.job_states import a_study
from tests.samples import CONFIG, NOW, SPACE, a_dataset

AZURE = {"kind": "azureml", "subscription_id": "s", "resource_group": "g", "workspace": "w"}
CLUSTERS = [
    {"name": "cpu", "gpus": 0, "memory": 64},
    {**AZURE, "name": "gpu-east", "gpus": 4, "memory": 112, "create": {"vm_size": "v", "max_nodes": 8}},
]


def asking(resources: Any) -> dict[str, Any]:
    """A training config that asks for these."""
    return {**CONFIG, "dataset": "digits", "resources": resources}


def problems(resources: Any, clusters: Any = CLUSTERS) -> list[Problem]:
    """The problems of a training that requests these resources, on these clusters."""
    environ = {"MITORCH_CLUSTERS": json.dumps(clusters)} if clusters else {}
    written = {**CONFIG, "resources": resources}
    config, wrong = check(TrainingConfig, written)
    return wrong + resource_check(read_settings(environ))(config, written)


@pytest.mark.parametrize(
    "resources",
    [{}, {"gpus": 4, "nodes": 8, "memory": 112}, {"cluster": "cpu"}, {"cluster": ["cpu", "gpu-east"], "gpus": 1}],
)
def test_what_some_cluster_can_give_is_right(resources: dict[str, Any]) -> None:
    assert problems(resources) == []


@pytest.mark.parametrize(
    ("resources", "path", "said"),
    [
        ({"gpus": 8}, "resources", "cluster cpu: has 0 GPUs a node, 8 needed; cluster gpu-east: has 4 GPUs a node, 8"),
        ({"nodes": 9}, "resources", "cluster gpu-east: gives a training at most 8 nodes, 9 needed"),
        ({"memory": 200}, "resources", "cluster cpu: has 64 GiB a node, 200 needed"),
        ({"cluster": "cpu", "gpus": 1}, "resources", "cluster gpu-east: not among its resources.cluster (cpu)"),
        (
            {"cluster": ["cpu", "gpu-est"]},
            "resources.cluster",
            "'gpu-est' is not in MITORCH_CLUSTERS; did you mean 'gp",
        ),
        ({"cluster": []}, "resources.cluster", "must not be empty"),
        ({"gpu": 1}, "resources.gpu", "did you mean 'gpus'?"),
        ({"gpus": -1}, "resources.gpus", "must be 0 or more (it is -1)"),
        ({"nodes": True}, "resources.nodes", "must be a number"),
        ({"memory": 0}, "resources.memory", "must be more than 0"),
    ],
)
def test_what_no_cluster_can_ever_give_is_told(resources: dict[str, Any], path: str, said: str) -> None:
    (problem,) = problems(resources)
    assert problem.path == path
    assert said in problem.message


def test_a_machine_without_clusters_of_its_own_leaves_it_to_the_controller() -> None:
    assert problems({"gpus": 8, "cluster": "elsewhere"}, clusters=None) == []


def test_a_training_and_each_trial_are_stored_with_what_they_need(store: Store) -> None:
    store.datasets.add_dataset(a_dataset())
    training = build_submission(store, "f", asking({"cluster": "gpu", "nodes": 2}), Options(), NOW)
    assert isinstance(training, Training)
    store.queue.add_trainings([training])
    (row,) = store.queue.queue_head(1).items
    assert row.resources == Resources(cluster=["gpu"], nodes=2)
    config = {**SPACE, "resources": {"cluster": "gpu", "gpus": {"_choice": [1, 2]}}}
    search = {"max_trials": 9, "seed": 1}
    data: dict[str, Any] = {"job_type": "search", "dataset": "digits", "config": config, "search": search}
    job = build_submission(store, "f", data, Options(), NOW)
    assert isinstance(job, Job)
    trials = expand(job, a_study(job), None, 0, NOW)
    assert {trial.resources.gpus for trial in trials if trial.resources} == {1, 2}
    assert all(trial.resources is not None and trial.resources.cluster == ["gpu"] for trial in trials)


def test_resources_of_a_search_space_are_checked_like_those_of_a_training(store: Store) -> None:
    store.datasets.add_dataset(a_dataset())
    settings = read_settings({"MITORCH_CLUSTERS": json.dumps(CLUSTERS)})
    config = {**SPACE, "resources": {"gpus": {"_choice": [1, 16]}}}
    data: dict[str, Any] = {"job_type": "search", "dataset": "digits", "config": config, "search": {"max_trials": 9}}
    with pytest.raises(InvalidInput, match=r"config\.resources: no cluster in MITORCH_CLUSTERS can ever hold it"):
        build_submission(store, "f", data, Options(), NOW, resource_check(settings))


def test_documents_of_earlier_versions_need_one_node_of_any_cluster(store: Store) -> None:
    store.datasets.add_dataset(a_dataset())
    training = build_submission(store, "f", {**CONFIG, "dataset": "digits"}, Options(), NOW)
    document = {name: value for name, value in training.to_document().items() if name != "resources"}
    assert TrainingRow.from_document(document).resources is None

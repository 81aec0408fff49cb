"""The variables of a run on Azure ML, and the beginning of its process."""

from __future__ import annotations

import os

import pytest

from mitorch_service.backends.azureml import node_entry
from mitorch_service.backends.azureml.node import AzureMLNode
from mitorch_service.backends.azureml.request import build_request
from mitorch_service.backends.azureml.vault import secrets_in
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.models.training import Resources


def variables(asked: int | None, **cluster: object) -> dict[str, str]:
    """The environment variables of a run."""
    known = {"kind": "azureml", "name": "gpu", "subscription_id": "s", "resource_group": "g", "workspace": "w"}
    settings = AzureMLCluster.model_validate({**known, **cluster})
    return dict(build_request(settings, "d0c5", 1, Resources(gpus=asked), "code", {}).variables)


@pytest.mark.parametrize(
    ("low_priority", "gpus", "asked", "days", "seen"),
    [(False, None, None, 20.75, 0), (True, 4, None, 6.75, 4), (True, 4, 1, 6.75, 1), (True, 4, 0, 6.75, 0)],
)
def test_a_node_knows_its_gpus_and_the_lifetime_of_the_run(
    low_priority: bool, gpus: int | None, asked: int | None, days: float, seen: int
) -> None:
    node = AzureMLNode(variables(asked, low_priority=low_priority, gpus=gpus))
    assert (node.max_seconds, node.gpus) == (days * 86400, seen)


def test_a_node_knows_where_its_run_is_seen() -> None:
    place = {"AZUREML_ARM_SUBSCRIPTION": "s", "AZUREML_ARM_RESOURCEGROUP": "g", "AZUREML_ARM_WORKSPACE_NAME": "w"}
    url = "https://ml.azure.com/runs/mt-d0c5-a1?wsid=/subscriptions/s/resourcegroups/g/workspaces/w"
    assert AzureMLNode({"AZUREML_RUN_ID": "mt-d0c5-a1", **place}).url == url
    assert AzureMLNode({"AZUREML_RUN_ID": "mt-d0c5-a1"}).url is None


def test_a_node_that_another_version_has_started_knows_neither() -> None:
    node = AzureMLNode({})
    assert (node.max_seconds, node.gpus) == (None, 0)


def test_the_computes_identity_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
    node_entry.adopt_identity()
    assert "AZURE_CLIENT_ID" not in os.environ
    monkeypatch.setenv("DEFAULT_IDENTITY_CLIENT_ID", "of-the-compute")
    monkeypatch.setenv("AZURE_CLIENT_ID", "chosen")
    node_entry.adopt_identity()
    assert os.environ["AZURE_CLIENT_ID"] == "chosen"
    monkeypatch.delenv("AZURE_CLIENT_ID")
    node_entry.adopt_identity()
    assert os.environ["AZURE_CLIENT_ID"] == "of-the-compute"
    monkeypatch.delenv("AZURE_CLIENT_ID")


def test_a_secret_without_a_text_is_missing() -> None:
    """The environment of a run would not take it."""
    listed = [{"name": "a", "value": "b"}, {"name": "c", "value": None}, {"name": "d", "value": {}}]
    assert secrets_in({"secrets": listed}) == {"a": "b"}

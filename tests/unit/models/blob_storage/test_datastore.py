"""Datastores: paths and addresses, and which workspace is meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.models.blob_storage.datastore import Datastore, DatastorePath, is_datastore_path
from mitorch_service.operations.choose_cluster import choose_cluster
from mitorch_service.settings import Settings, read_settings

LONG = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/pictures/paths/a/b c.txt"
ADDRESS = "https://acct.blob.core.windows.net/files"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("azureml://pictures/train.txt", DatastorePath("pictures", "train.txt")),
        ("azureml://pictures/a/b c.txt", DatastorePath("pictures", "a/b c.txt")),
        ("AzureML://datastores/pictures/paths/a/b c.txt", DatastorePath("pictures", "a/b c.txt")),
        ("azureml://datastores/train.txt", DatastorePath("datastores", "train.txt")),
        (LONG, DatastorePath("pictures", "a/b c.txt", ("s", "g", "w"))),
        (
            LONG.replace("/workspaces", "/providers/Microsoft.MachineLearningServices/workspaces"),
            DatastorePath("pictures", "a/b c.txt", ("s", "g", "w")),
        ),
    ],
)
def test_a_path_is_read_in_each_form(text: str, path: DatastorePath) -> None:
    assert is_datastore_path(text)
    assert DatastorePath.parse(text) == path


@pytest.mark.parametrize(
    "text", ["azureml://", "azureml://pictures", "azureml://pictures/", "azureml://a/b?sig=s3cret"]
)
def test_what_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="datastore") as caught:
        DatastorePath.parse(text)
    assert "s3cret" not in str(caught.value)


def test_other_paths_are_none() -> None:
    assert not any(map(is_datastore_path, ("train.txt", "/data/azureml://x", ADDRESS)))


def test_a_container_is_known_by_its_address() -> None:
    datastore = Datastore.of_container("pictures", f"{ADDRESS}/", "?sv=1&sig=s3cret")
    assert (datastore.account, datastore.container, datastore.sas) == (ADDRESS[:-6], "files", "sv=1&sig=s3cret")
    assert datastore.url == ADDRESS
    assert "s3cret" not in repr(datastore)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{ADDRESS}?sig=s3cret", "contains a SAS token"),
        (f"{ADDRESS}/folder", "must be a container's address"),
        ("https://acct.blob.core.windows.net", "must be a container's address"),
        ("http://acct.blob.core.windows.net/files", "must be a container's address"),
        ("https://me:s3cret@acct.blob.core.windows.net/files", "must be a container's address"),
        ("files", "must be a container's address"),
    ],
)
def test_what_is_no_address_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Datastore.of_container("pictures", url)
    assert "s3cret" not in str(caught.value)


def settings(*clusters: dict[str, Any]) -> Settings:
    """Clusters of a subscription and a group, with what matters given."""
    ours = {"kind": "azureml", "subscription_id": "S", "resource_group": "g"}
    return read_settings({"MITORCH_CLUSTERS": json.dumps([{**ours, **cluster} for cluster in clusters])})


def test_the_workspace_is_the_one_that_is_named_or_the_only_one() -> None:
    one = settings({"name": "a", "workspace": "w"}, {"name": "b", "workspace": "W"})
    assert choose_cluster(one, None).name == "a"
    assert choose_cluster(one, "b").name == "b"
    two = settings({"name": "a", "workspace": "w"}, {"name": "b", "workspace": "v"})
    assert choose_cluster(two, None, ("s", "G", "V")).name == "b"
    unknown = settings({"name": "a", "workspace": "w", "resource_group": None}, {"name": "b", "workspace": "v"})
    assert choose_cluster(unknown, None, ("s", "any", "w")).name == "a"  # its group is looked for later
    for name, place, words in (
        (None, None, "there are several workspaces: name one of a, b"),
        ("c", None, "'c' is no cluster of kind azureml; there are: a, b"),
        (None, ("s", "g", "u"), "none is in the workspace u"),
    ):
        with pytest.raises(InvalidInput, match=words):
            choose_cluster(two, name, place)
    with pytest.raises(InvalidInput, match="none is of kind azureml"):
        choose_cluster(read_settings({}), None)

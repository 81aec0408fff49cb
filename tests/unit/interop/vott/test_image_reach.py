"""From where the nodes of clusters read the images that the consumer has downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mitorch_service.errors import SettingsError
from mitorch_service.interop.vott.image_reach import ImageReach, image_reach
from mitorch_service.settings import Settings, read_settings

HOME = Path("/home/me/.mitorch")
AZURE = {"name": "cloud", "kind": "azureml", "subscription_id": "s", "workspace": "w"}
LOCAL = {"name": "here", "kind": "local"}
SLURM = {"name": "lab", "kind": "slurm", "partition": "gpu"}
SHARED = {**SLURM, "folder": "/home/me"}
FAR = {**SLURM, "name": "far", "folder": "/scratch"}
BLOBS = "https://me.blob.core.windows.net/c"

HERE = ImageReach(None, stored=False)
STORED = ImageReach(None, stored=True)


def settings_with(clusters: list[dict[str, str]], storage: str) -> Settings:
    given = {"MITORCH_STORAGE_URL": storage} if storage else {}
    return read_settings({"MITORCH_CLUSTERS": json.dumps(clusters), "MITORCH_HOME": str(HOME), **given})


@pytest.mark.parametrize(
    ("clusters", "storage", "expected"),
    [
        ([LOCAL], "", HERE),
        ([LOCAL, SHARED], BLOBS, HERE),  # all see the home: nothing is sent
        ([SLURM, LOCAL], "", HERE),
        ([AZURE], "", STORED),  # in the workspace's container
        ([AZURE], BLOBS, STORED),
        ([AZURE, LOCAL, SHARED, FAR], "AccountName=me;AccountKey=a2V5;Container=c", STORED),
        ([FAR], "/scratch/artifacts", STORED),
        ([FAR, LOCAL], "/scratch/artifacts", STORED),
        ([FAR, LOCAL], "", ImageReach(("here",), stored=False)),
        ([AZURE, LOCAL, SHARED, FAR], "/srv/artifacts", ImageReach(("here", "lab"), stored=False)),
        ([AZURE, FAR, LOCAL], "/scratch/artifacts", ImageReach(("far", "here"), stored=True)),
    ],
)
def test_images_are_read_from_where_most_clusters_see_them(
    clusters: list[dict[str, str]], storage: str, expected: ImageReach
) -> None:
    assert image_reach(settings_with(clusters, storage)) == expected


def test_without_a_place_that_any_cluster_sees() -> None:
    with pytest.raises(SettingsError, match=f"cloud, far: no cluster sees {HOME}, to which .*MITORCH_STORAGE_URL"):
        image_reach(settings_with([AZURE, FAR], "/srv/artifacts"))

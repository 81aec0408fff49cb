"""Data sets in a workspace: the unmodified SDK with azureml-dataset-runtime, in a process of its own, against the
emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import dataset_runtime
from tests.azureml_emulator.client import Emulator
from tests.azureml_emulator.scenario import populated
from tests.azureml_emulator.sdk_process import SdkError, SdkProcess, sdk_process


@pytest.fixture(scope="module")
def runtime() -> Path:
    """Without it these tests are skipped here, and fail in CI."""
    try:
        return dataset_runtime.folder()
    except dataset_runtime.NoRuntime as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with populated(tmp_path / "emulator") as started:
        yield started


@pytest.fixture
def sdk(emulator: Emulator, runtime: Path, tmp_path: Path) -> Iterator[SdkProcess]:
    with sdk_process(emulator, tmp_path / "sdk", retries=1, packages=[runtime]) as process:
        yield process


def test_data_sets_are_registered_in_versions(sdk: SdkProcess, emulator: Emulator) -> None:
    sdk("datastore", name="data", container="images", account="account", key="a2V5")
    first = {"store": "data", "path": "shapes/**", "name": "shapes"}
    assert sdk("register_dataset", **first, description="drawn", tags={"of": "2026"}) == [
        "shapes",
        1,
        {"of": "2026"},
        "drawn",
    ]
    with pytest.raises(SdkError, match="already a dataset registered under name"):
        sdk("register_dataset", **first)
    second = {**first, "path": "more/**", "create_new_version": True}
    assert sdk("register_dataset", **second, tags={"of": "2027"})[1] == 2
    (version, tags, files), old = sdk("dataset", name="shapes"), sdk("dataset", name="shapes", version=1)
    assert (version, tags) == (2, {"of": "2027"})
    assert ("more/**" in files, "shapes/**" in files, "data" in files) == (True, False, True)
    assert (old[0], "shapes/**" in old[2]) == (1, True)
    with pytest.raises(SdkError, match='Cannot find dataset registered with name "shapes"'):
        sdk("dataset", name="shapes", version=3)
    sdk("register_dataset", **{**first, "name": "others"})
    assert sdk("datasets") == ["others", "shapes"]
    kept = emulator.assets()["datasets"]["shapes"]
    assert [version["latest"]["versionId"] for version in kept] == ["1", "2"]


@pytest.mark.long
def test_only_its_telemetry_asks_for_anybody_else(sdk: SdkProcess, emulator: Emulator) -> None:
    sdk("datastore", name="data", container="images", account="account", key="a2V5")
    sdk("register_dataset", store="data", path="a/**", name="a")
    assert set(emulator.refused()) <= {"dc.services.visualstudio.com:443"}
    assert emulator.left_loopback() == []

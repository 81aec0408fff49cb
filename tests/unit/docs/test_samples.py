"""Every sample is what `misubmit --explain`, the registry or the settings accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mitorch_service.cli.main import load
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import Dataset, DatasetDefinition
from mitorch_service.settings import read_settings
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.wiring import open_store, open_translation
from tests.documents import ROOT
from tests.samples import NOW, a_dataset

SAMPLES = ROOT / "scripts" / "samples"
OTHERS = {"datasets.json", "clusters.json"}
ORIGINALS = [SAMPLES / "mitorch" / f"{name}.json" for name in ("training", "search")]
CONFIGS = sorted(path for path in SAMPLES.glob("*.json") if path.name not in OTHERS) + ORIGINALS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which the data sets of the samples are registered."""
    home = tmp_path_factory.mktemp("home")
    store = open_store(read_settings({"MITORCH_HOME": str(home)}), create=True)
    store.prepare()
    for name in ("digits", "pictures", "labels", "boxes"):
        store.datasets.add_dataset(a_dataset(name, 1))
    store.close()
    yield home


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_config_would_be_queued(path: Path, home: Path) -> None:
    environment = {"MITORCH_HOME": str(home), "MITORCH_CLUSTERS": '[{"name": "local", "slots": 1, "gpus": 1}]'}
    done = CliRunner().invoke(load("submit"), ["--explain", str(path)], env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    kind = " search " if {"job_type", "max_trainings"} & json.loads(path.read_text()).keys() else "One "
    assert kind in done.output


def test_data_sets_and_clusters() -> None:
    definitions = json.loads((SAMPLES / "datasets.json").read_text())
    assert [problem for one in definitions for problem in check(DatasetDefinition, one)[1]] == []
    secret = {"MITORCH_AML_AUTH": "tenant:principal:password"}
    clusters = read_settings({"MITORCH_CLUSTERS": str(SAMPLES / "clusters.json"), **secret}).clusters
    assert [type(cluster) for cluster in clusters] == [LocalCluster, AzureMLCluster]


def test_documents_of_the_original() -> None:
    definitions = json.loads((SAMPLES / "mitorch" / "datasets.json").read_text())
    by_hand = Dataset.from_document({"_id": 1, **definitions[0]})
    assert (by_hand.id, "SAS" in by_hand.train.path) == ("pictures:0", False)
    store = SqliteStore(None)
    store.datasets.add_dataset(a_dataset("pictures"))
    found = json.loads((SAMPLES / "mitorch" / "training_document.json").read_text())
    ours = open_translation(read_settings({}), store)("training", found, NOW)
    assert (ours.status, str(ours.dataset)) == ("new", "pictures:1"), ours


def test_every_sample_is_listed() -> None:
    listed = (SAMPLES / "README.md").read_text()
    assert [path.name for path in SAMPLES.rglob("*.json") if f"[`{path.name}`]" not in listed] == []

"""Files that people submit: configs of trainings and searches, definitions of data sets, exp_config.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import InvalidInput
from mitorch_service.interop.exp_config.exp_config_file import read_exp_config
from mitorch_service.interop.exp_config.training_configs import Place, run_tags, training_config
from mitorch_service.interop.exp_config.workspace_file import read_workspace
from mitorch_service.models.config.validation import parse_object
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.operations.datasets.dataset_registration import DatasetRegistry
from mitorch_service.operations.datasets.datastores import DatastorePaths
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.submission import Options, check_submission
from mitorch_service.wiring import open_config_checks
from tests.exp_configs import EXP_CONFIG, WORKSPACE
from tests.fuzzing.target import Target
from tests.samples import CONFIG, NOW, SPACE, a_dataset

_TRAINING = {**CONFIG, "dataset": "digits", "augmentation": {"train": [{"name": "flip"}]}}
_SEARCH = {
    "job_type": "search",
    "dataset": "digits:1",
    "config": {
        **SPACE,
        "batch_size": {"_choice": [4, {"_int": [1, 8]}]},
        "optimizer": {"name": "sgd", "momentum": 0.5},
    },
    "search": {"algorithm": "random", "max_trials": 4, "early_stopping": {"rule": "asha"}, "seed": 1},
}
_SCRIPT = {"script": {"command": ["python", "x.py", "--lr", "0.1"], "env": {"A": "b"}}, "max_epochs": 2}
_SECTION = {"train": {"path": "t.txt", "support_files": ["a.png"]}, "val": {"path": "t.txt"}}
_DEFINITIONS = [{"name": "d", "version": 1, **_SECTION}]
_CONFIG_WORDS = (
    *(b'"_choice"', b'"_uniform"', b'"_loguniform"', b'"_int"', b'"step"', b'"job_type"', b'"search"', b'"config"'),
    *(b'"model"', b'"base"', b'"optimizer"', b'"lr_scheduler"', b'"early_stopping"', b'"resources"', b'"tags"'),
)


@cache
def _store() -> Store:
    store = SqliteStore(None)
    store.datasets.add_dataset(a_dataset())
    return store


def check_config_file(source: str, content: bytes, folder: Path) -> None:
    """Reads a config as `misubmit` does, up to the document that it would queue."""
    store = _store()
    data = parse_object(source, content)
    settings = read_settings({"MITORCH_HOME": str(folder / "home"), "HOME": str(folder)})
    checks = open_config_checks(settings, folder, upload=False)
    lookups = Lookups(store, lambda: NOW)
    submission = check_submission(lookups, source, data, None, checks)
    submission.to_document("0" * 32, Options(), NOW).to_document()


def _configs(suffix: str) -> Callable[[bytes, Path], None]:
    return lambda content, folder: check_config_file(f"config.{suffix}", content, folder)


def _definitions(content: bytes, folder: Path) -> None:
    store = SqliteStore(None)
    (folder / "t.txt").write_text("a.png 0\nb.png 1\n")
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"x")
    file = folder / "definitions.json"
    file.write_bytes(content)
    settings = read_settings({"MITORCH_HOME": str(folder / "home"), "HOME": str(folder)})
    registry = DatasetRegistry(store, DatasetFiles(folder / "cache"), DatastorePaths(settings, None, _no_datastores))
    try:
        registry.register_file(str(file))
    except Exception:
        assert not store.datasets.list_datasets().items
        raise


def _no_datastores(cluster: AzureMLCluster) -> NoReturn:
    raise InvalidInput("datastore", [])


def _exp_config(content: bytes, folder: Path) -> None:
    file, problems = read_exp_config(parse_object("exp_config.json", content))
    if file is None:
        raise InvalidInput("exp_config.json", problems)
    config = training_config(file.settings, Place("gpu"))
    run_tags(file.settings, "a.csv", "b.csv")
    planned = DatasetRef(name=file.settings.IMAGE_TYPE)
    check_submission(Lookups(_store(), planned=planned), "exp_config.json", config, planned, lambda *_: [])


def _workspace(content: bytes, folder: Path) -> None:
    (folder / "w.json").write_bytes(content)
    found, problems = read_workspace("w.json", folder)
    if found is None:
        raise InvalidInput("w.json", problems)


_JSON = tuple(json.dumps(one).encode() for one in (_TRAINING, _SEARCH, _SCRIPT))
_YAML = (
    b"model: {name: test_resnet, input_size: 32}\nlr_scheduler:\n  name: cosine\n  base_lr: 0.01\nmax_epochs: 3\n"
    b"dataset: digits\n",
    b"a: &a {b: 1}\nmodel:\n  <<: *a\n  name: x\ntags: [a=b, !!str 5]\nd: 2026-01-01\n",
)
TARGETS = (
    Target("config-json", _configs("json"), _JSON, _CONFIG_WORDS),
    Target("config-yaml", _configs("yaml"), (*_YAML, *_JSON), (*_CONFIG_WORDS, b"&a", b"*a", b"<<: ", b"!!", b"- ")),
    Target("dataset-definitions", _definitions, (json.dumps(_DEFINITIONS).encode(),), (b'"test"', b"azureml://a/b")),
    Target("exp-config", _exp_config, (json.dumps(EXP_CONFIG).encode(),)),
    Target("exp-workspace", _workspace, (json.dumps(WORKSPACE).encode(),)),
)

"""Queues trainings on pairs of an Azure ML workspace's sets: what a notebook of the label API's team calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitorch_service import wiring
from mitorch_service.client.client import Client
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.azureml_datasets.dataset_import import PairImport, Pairing
from mitorch_service.interop.azureml_datasets.run_arguments import RunArguments, create_args, launch_command
from mitorch_service.models.config.validation import parse_object
from mitorch_service.operations.choose_cluster import choose_cluster
from mitorch_service.settings import Settings, read_settings

if TYPE_CHECKING:
    from mitorch_service.operations.model_registration import Registration

__all__ = ["PerformedRun", "create_args", "perform_run"]


@dataclass(frozen=True)
class PerformedRun:
    """A queued training."""

    id: str
    client: Client
    settings: Settings

    def wait(self, timeout: float | None = None) -> str:
        """Waits until it has ended, and returns its status; a controller must run elsewhere. Raises TimeoutError after
        `timeout` seconds."""
        found: Any = self.client.wait(self.id, timeout=timeout)
        return str(found.status)

    def metrics(self) -> dict[str, float]:
        """Returns the figures of its evaluation; until there are some, those of its last epoch."""
        found: Any = self.client.get(self.id)
        if found.evaluation:
            return dict(found.evaluation)
        return dict(found.curve.epochs[-1].metrics) if found.curve.epochs else {}

    def register_model(self, name: str) -> Registration:
        """Registers its weights, or what its script has left in MITORCH_OUTPUT, under the name in the workspace's model
        registry. Raises NotAllowed until it is completed."""
        return wiring.open_model_registration(self.settings).register(self.id, name, None)


def perform_run(
    experiment: str,
    script: str | os.PathLike[str] | Mapping[str, Any],
    args: RunArguments,
    compute: str | None = None,
    *,
    name: str | None = None,
    priority: int = 100,
    datastore_name: str | None = None,
    min_confidence: float = 0.0,
    **config: Any,
) -> PerformedRun:
    """Queues a training on pairs of sets (`create_args`) and returns at once.

    `script`: the path of a ``train.py``, whose folder is stored and which gets ``--train_sets L0 I0 … --test_sets …
    --NAME VALUE``; or a training config (an object, or the path of a JSON or YAML file), for the engine here.
    `compute`: a cluster of the settings; None: any. `datastore_name`: the name of the images' folder before their
    `image_url`; None: the variable DATASTORE_NAME, else the datastore's own. `min_confidence`: objects below it are
    left out for a config; a script decides that itself. `config`: further keys of the config, such as `max_epochs`.
    Raises InvalidInput, BackendError, DataError; nothing is queued then.
    """
    settings = read_settings()
    before = datastore_name or os.environ.get("DATASTORE_NAME") or None
    if isinstance(script, Mapping) or Path(script).suffix in (".json", ".yaml", ".yml"):
        written, dataset = _engine_config(settings, compute, args, script, Pairing(before, min_confidence))
    else:
        written, dataset = _script_config(settings, compute, args, Path(script), before)
    resources = {"experiment": experiment, **({} if compute is None else {"cluster": compute})}
    written |= config | {"resources": {**resources, **config.get("resources", {})}}
    client = Client()
    tags = [f"experiment={experiment}"]
    done = client.submit(written, dataset=dataset, name=name, tags=tags, priority=priority)
    return PerformedRun(str(done.id), client, settings)


def _script_config(
    settings: Settings, compute: str | None, args: RunArguments, script: Path, datastore_name: str | None
) -> tuple[dict[str, Any], str]:
    from mitorch_service.interop.azureml_datasets.raw_sets import raw_sets

    if not script.is_file():
        raise InvalidInput("script", [Problem(str(script), "is no file: name a train.py, or a config")])
    sets = raw_sets(wiring.open_asset_reader(_workspace(settings, compute)), args)
    name = f"{args.train_sets[0][0].name}.sets"
    registry = wiring.open_dataset_registry(settings, _workspace(settings, compute).name)
    done = registry.register_content(name, name, sets.splits, sets.imported_from)
    command = launch_command(script.name, sets.first_table, sets.tables, datastore_name or sets.datastore)
    section = {"command": command, "source": str(script.absolute().parent)}
    return {"script": section, "parameters": dict(args.params)}, str(done.ref)


def _engine_config(
    settings: Settings,
    compute: str | None,
    args: RunArguments,
    config: str | os.PathLike[str] | Mapping[str, Any],
    pairing: Pairing,
) -> tuple[dict[str, Any], str]:
    from mitorch_service.interop.azureml_datasets.raw_sets import pairs_of

    if not isinstance(config, Mapping):
        config = parse_object(str(config), Path(config).read_bytes())
    reader = wiring.open_asset_reader(_workspace(settings, compute))
    pairs = pairs_of(reader, args)
    name = pairs["train_sets"][0].labels.name.removesuffix("_labels")
    made = PairImport(reader, pairing).make(name, pairs["train_sets"], pairs["test_sets"])
    registry = wiring.open_dataset_registry(settings, _workspace(settings, compute).name)
    done = registry.register_content(name, name, made.splits, made.imported_from)
    return {**config, **args.params}, str(done.ref)


def _workspace(settings: Settings, compute: str | None) -> AzureMLCluster:
    """The cluster whose workspace has the sets: the compute, if it is one of Azure ML, else the only one."""
    named = any(one.name == compute and isinstance(one, AzureMLCluster) for one in settings.clusters)
    return choose_cluster(settings, compute if named else None)

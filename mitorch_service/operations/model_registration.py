"""Registers the weights of a training, with its data set, config and metrics, in a cloud's model registry."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.backends.optional import ModelEntry, ModelRegistry, RegisteredModel
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import ArtifactError, BrokenDocument, DataError, InvalidInput, NotFound, Problem
from mitorch_service.models.config.script import is_script
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.training import Training
from mitorch_service.operations.choose_cluster import choose_cluster
from mitorch_service.operations.trained_weights import WEIGHTS, completed_training
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_LONGEST = 1000  # characters of a property; the whole config is also a file of the model


@dataclass(frozen=True)
class Registration:
    """The result of `ModelRegistration.register`."""

    training: Training
    model: RegisteredModel
    notes: list[str]  # tags that are missing, and why


@dataclass(frozen=True)
class ModelRegistration:
    """Registers models from a store and its artifacts."""

    settings: Settings
    store: Store
    artifacts: ArtifactStore
    dataset_files: DatasetFiles
    open_registry: Callable[[AzureMLCluster], ModelRegistry]

    def register(self, id: str, name: str, cluster: str | None) -> Registration:
        """Registers the model of a completed training, or of a job's winner (its final training, if it has one), under
        `name` in the workspace of `cluster`. Raises NotFound, NotAllowed, InvalidInput, ArtifactError, BackendError."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "--name", [Problem(name, "must be 1 to 255 letters, digits, - _ . and begin with a letter or digit")]
            )
        training = completed_training(self.store, *self.store.trainings.resolve_id(id), "registered")
        chosen = choose_cluster(self.settings, cluster or _last_cluster(self.settings, training))
        registry = self.open_registry(chosen)
        counts, notes = _image_counts(self.store, self.dataset_files, training)
        with TemporaryDirectory(prefix="mitorch-model-") as folder:
            files = Path(folder, "model")
            files.mkdir()
            self._fetch(training, files)
            (files / "config.json").write_text(json.dumps(training.config, indent=2, ensure_ascii=False), "utf-8")
            model = registry.register_model(model_entry(name, training, files, counts))
            return Registration(training, model, notes)

    def _fetch(self, training: Training, files: Path) -> None:
        """Copies the weights; of a script what its last attempt has left."""
        if not is_script(training.config):
            self.artifacts.get(f"{training.id}/{WEIGHTS}", files / WEIGHTS)
            return
        start = f"{training.id}/attempt-{training.attempt}/output/"
        keys = self.artifacts.keys(start)
        if not keys:
            problem = "its script has left nothing in MITORCH_OUTPUT: let it write the model there"
            raise ArtifactError(training.id, "the artifact store", problem)
        for key in keys:
            if ".." in key.split("/"):  # a container's names may be others' than ours
                raise ArtifactError(key, "the artifact store", "its name leads out of the folder")
            target = files / key.removeprefix(start)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.artifacts.get(key, target)


def model_entry(name: str, training: Training, files: Path, counts: dict[str, int]) -> ModelEntry:
    """Builds the registry's entry. `files`: a folder with model.pth; `counts`: images by split, as far as known."""
    if is_script(training.config):
        return _script_entry(name, training, files)
    config = TrainingConfig.model_validate(training.config)
    origin = training.trial or training.refit
    epochs = training.progress.epoch if training.progress is not None else training.max_epochs
    tags: dict[str, object] = {
        "dataset": training.dataset,
        "task_type": config.task_type,
        "model": config.model.name,
        "base_model": config.base or config.model.name,
        "epochs": epochs,
        "job": training.belongs_to,
        "trial": None if origin is None else origin.number,
        **{f"{split}_images": count for split, count in counts.items()},
        **(training.evaluation or {}),
    }
    if "train" in counts:
        tags["steps"] = epochs * math.ceil(counts["train"] / config.batch_size)
    return ModelEntry(
        name=name,
        folder=files,
        identity={"training": training.id, "sha256": _sha256(files / "model.pth")},
        description=training.name or f"{config.model.name} on {training.dataset}",
        tags={key: _text(value) for key, value in tags.items() if value is not None},
        properties=_properties(training),
    )


def _script_entry(name: str, training: Training, files: Path) -> ModelEntry:
    found = hashlib.sha256()
    for path in sorted(path for path in files.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(files)}\0{_sha256(path)}\n".encode())
    tags: dict[str, object] = {"dataset": training.dataset, **(training.evaluation or {})}
    return ModelEntry(
        name=name,
        folder=files,
        identity={"training": training.id, "sha256": found.hexdigest()},
        description=training.name or f"a script on {training.dataset}",
        tags={key: _text(value) for key, value in tags.items()},
        properties=_properties(training),
    )


def _last_cluster(settings: Settings, training: Training) -> str | None:
    """The cluster of the last attempt, or None if it has no workspace."""
    names = [cluster.name for cluster in settings.clusters if isinstance(cluster, AzureMLCluster)]
    ran = training.attempts[-1].cluster if training.attempts else None
    return ran if ran in names else None


def _image_counts(store: Store, files: DatasetFiles, training: Training) -> tuple[dict[str, int], list[str]]:
    """Counts the lines of each split's text file, downloading it (but no image) where it is remote."""
    try:
        dataset = store.datasets.get_dataset(training.dataset)
        with files.local_paths(_texts_only(dataset)) as paths:
            return {name: _lines(path) for name, path in paths.items()}, []
    except (NotFound, BrokenDocument, DataError, ArtifactError, OSError) as error:
        return {}, [f"no image and step counts: the data set's text files cannot be read: {error}"]


def _texts_only(dataset: Dataset) -> Dataset:
    splits = {name: split.model_copy(update={"support_files": []}) for name, split in dataset.splits().items()}
    return dataset.model_copy(update=splits)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(bool(line.strip()) for line in file)


def _properties(training: Training) -> dict[str, str]:
    config = json.dumps(training.config, ensure_ascii=False, separators=(",", ":"))
    properties = {
        "config": config if len(config) <= _LONGEST else "see config.json of the model",
        "mitorch_version": importlib.metadata.version("mitorch-service"),
    }
    origin = training.trial or training.refit
    if origin is not None:
        properties["parameters"] = json.dumps(origin.parameters, ensure_ascii=False)[:_LONGEST]
    return properties


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

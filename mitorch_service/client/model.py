"""Opens trained models: of a weights file, or of a training or job in the database that the settings name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitorch_service import wiring
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import InvalidInput, MissingExtra, NotFound
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.operations.trained_weights import fetched_weights
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store

if TYPE_CHECKING:
    from mitorch_service.training.prediction.model import Model


@dataclass(frozen=True)
class NamedWeights:
    """A weights file, for as long as it is there."""

    path: Path
    name: str  # what messages call it
    dataset: DatasetRef | None = None  # that a training of the service was trained on


def load(
    path_or_id: str | os.PathLike[str],
    *,
    config: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    device: str | None = None,
) -> Model:
    """Loads a model: ``load("model.pth").predict(["image.jpg"])``.

    `path_or_id`: a weights file; else the beginning of the id, or the name, of a completed training or of a job, whose
    winner is taken. `config` and `classes`, in the order of the network's outputs: for weights that do not know
    theirs. `device`: such as ``cuda:1``; by default the first GPU, else the CPU. Raises ModelError, NotFound,
    AmbiguousId, AmbiguousName, NotAllowed, ArtifactError, InvalidInput, MissingExtra.
    """
    checked = None
    if config is not None:
        checked, problems = check(TrainingConfig, dict(config))
        if checked is None or problems:
            raise InvalidInput("config", problems)
    with weights_of(path_or_id, "used to predict") as weights:
        return load_file(weights.path, source=weights.name, config=checked, classes=classes, device=device)


def load_file(
    file: Path,
    *,
    source: str,
    config: TrainingConfig | None = None,
    classes: Sequence[str] | None = None,
    device: str | None = None,
) -> Model:
    """Loads a weights file, called `source` in messages. Raises ModelError, MissingExtra."""
    try:
        from mitorch_service.training.torch_imports import heavy_imports

        with heavy_imports():
            import mitorch_service.training.prediction.loading as prediction
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "torch", "train") from error
    return prediction.load_model(file, source=source, config=config, classes=classes, device=device)


@contextmanager
def weights_of(path_or_id: str | os.PathLike[str], asked: str) -> Iterator[NamedWeights]:
    """Provides, until the context ends, the weights that a person names. `asked` is what is to be done with them
    ("exported"). Raises as `load` does."""
    path = Path(path_or_id)
    if path.is_file():
        yield NamedWeights(path, str(path))
        return
    settings = read_settings()
    store = wiring.open_store(settings)
    try:
        kind, id = look_up_one(store, os.fspath(path_or_id))
    except NotFound:
        remedy = "There is no such file, and no training or job of this id or name: see miquery and miquery --jobs."
        raise NotFound("model", str(path_or_id), remedy) from None
    with fetched_weights(store, wiring.open_artifacts(settings), kind, id, asked) as (training, file):
        yield NamedWeights(file, f"training {training.id}", training.dataset)


def open_registry() -> tuple[Store, DatasetFiles]:
    """Opens the data set registry of the settings."""
    settings = read_settings()
    return wiring.open_store(settings), wiring.open_dataset_files(settings)

"""Exports a model, checked on images of its data set where that can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.client.model import open_registry
from mitorch_service.errors import MiTorchError
from mitorch_service.models.blob_storage.sas import is_url
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.operations.datasets.named_images import named_images
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.prediction.image_sources import images_of_data_set

if TYPE_CHECKING:
    from mitorch_service.training.export.exporting import Exported, Form
    from mitorch_service.training.prediction.model import Model

MADE_UP = "made up"


def default_output(named: str, weights: Path, form: Form) -> Path:
    """Returns a path beside a weights file, or in this folder for the `named` training or job."""
    from mitorch_service.training.export.exporting import SUFFIXES

    whole = Path(named) if weights == Path(named) else Path(Path(named).name)
    return whole.with_name(whole.name.removesuffix(".pth") + SUFFIXES[form])


def export(
    model: Model,
    form: Form,
    target: Path,
    images: Sequence[str],
    dataset: DatasetRef | None,
    *,
    dynamic_batch: bool,
) -> tuple[Exported, str]:
    """Writes the file; returns what it was checked on as well: `images`, some of `dataset` (default: the one that
    the config names), or made-up ones. Raises as `export_model` and `named_images` do."""
    from mitorch_service.training.export.exporting import CHECKED, export_model

    with _sample(images, dataset or model.config.dataset) as (paths, source):
        few = PackedStrings(islice(paths, CHECKED))
        return export_model(model, form, target, dynamic_batch=dynamic_batch, images=few), source


@contextmanager
def _sample(images: Sequence[str], dataset: DatasetRef | None) -> Iterator[tuple[Iterator[str], str]]:
    if images:
        with named_images(images, "val", open_registry) as paths:
            yield iter(paths), ", ".join(images)
        return
    found = [] if dataset is None else _of_data_set(dataset)
    yield iter(found), str(dataset) if found else MADE_UP


def _of_data_set(dataset: DatasetRef) -> list[str]:
    """Returns some of the images of the validation; none if they are not on this machine."""
    from mitorch_service.training.export.exporting import CHECKED

    try:
        path = open_registry()[0].datasets.get_dataset(dataset).val.path
        return [] if is_url(path) else list(islice(images_of_data_set(Path(path), "val"), CHECKED))
    except MiTorchError:  # no registry, no data set of this name any more, or no files
        return []

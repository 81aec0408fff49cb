"""Finds the images that people name: paths, or registered data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import DataError, InvalidInput, NotFound, Problem
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.stores.base import Store
from mitorch_service.training.data.image_list import PackedStrings, split_entry
from mitorch_service.training.prediction.image_sources import find_images, images_of_data_set, without_repetition


@contextmanager
def named_images(
    sources: Sequence[str], split: str, open_registry: Callable[[], tuple[Store, DatasetFiles]]
) -> Iterator[PackedStrings]:
    """Provides, until the context ends, the paths of all images that `sources` name, each once: what `find_images`
    takes, and NAME[:V] of a registered data set, of which `split` is taken. `open_registry` is called if one is named.

    Raises DataError for a source that is nothing of this, InvalidInput for a split that a data set does not have.
    """
    with ExitStack() as stack:
        registry: list[tuple[Store, DatasetFiles]] = []

        def paths() -> Iterator[str]:
            for source in sources:
                if split_entry(source)[1] is not None or Path(source).exists():
                    yield from find_images(source)
                    continue
                registry[:] = registry or [open_registry()]
                store, files = registry[0]
                dataset = _registered(store, source)
                _check_split(dataset, split)
                path = stack.enter_context(files.local_paths(dataset))[split]
                yield from images_of_data_set(path, split)

        yield without_repetition(paths())


def _registered(store: Store, source: str) -> Dataset:
    try:
        return store.datasets.get_dataset(DatasetRef.parse(source))
    except (NotFound, ValueError):
        raise DataError(
            f"{source}: there is no such file or folder, and no registered data set of this name. Check the path; "
            "midataset list shows the data sets."
        ) from None


def _check_split(dataset: Dataset, split: str) -> None:
    known = dataset.splits()
    if split not in known:
        hint = f"{dataset.ref} has no {split}, but {', '.join(known)}"
        raise InvalidInput("mipredict", [Problem("--split", hint)])

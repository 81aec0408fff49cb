"""What midataset register and remove do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mitorch_service.errors import DataError, InvalidInput, NotAllowed, Problem
from mitorch_service.models.dataset import (
    Dataset,
    DatasetDefinition,
    DatasetRef,
    DatasetSplit,
    SasToken,
    dataset_id,
    detach_sas_tokens,
)
from mitorch_service.models.sas import is_url
from mitorch_service.models.status import OPEN
from mitorch_service.models.validation import check, parse_json
from mitorch_service.operations.datastores import DatastorePaths
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.trainings import TrainingFilter
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import read_split
from mitorch_service.wiring import open_dataset_files, open_store


def register_file(path: str, cluster: str | None = None) -> list[DatasetRef]:
    """Registers every definition in the file, or none. `cluster`: in whose workspace azureml://DATASTORE is. Raises
    InvalidInput with every problem, AlreadyExists."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(path, [Problem("", f"cannot be read: {error.strerror}")]) from error
    settings = read_settings()
    places = DatastorePaths(settings, cluster)
    datasets, problems = _datasets(parse_json(path, content), Path(path).absolute().parent, settings, places)
    store = open_store(settings)
    for index, dataset in enumerate(datasets):
        if any(known.id == dataset.id for known in [*store.datasets.list_datasets().items, *datasets[:index]]):
            taken = f"{dataset.ref} is registered already; give it the next version"
            problems.append(Problem(f"[{index}].version", taken))
    if problems:
        raise InvalidInput(path, problems)
    store.prepare()
    for dataset in datasets:
        store.datasets.add_dataset(dataset)
    return [dataset.ref for dataset in datasets]


def remove_version(ref: DatasetRef) -> DatasetRef:
    """Removes one version. Raises NotFound; NotAllowed while a training that has not ended is pinned to it."""
    store = open_store(read_settings())
    dataset = store.datasets.get_dataset(ref)
    if ref.version is None:
        raise InvalidInput("NAME:V", [Problem(ref.name, f"name the version to remove, such as {dataset.ref}")])
    for status in OPEN:
        for row in store.trainings.list_trainings(TrainingFilter(status, dataset=ref.name), limit=1000).items:
            if row.dataset == dataset.ref:
                remedy = f"Cancel training {row.id} first, or let it end."
                raise NotAllowed("data set", str(ref), "in use", "removed", remedy)
    store.datasets.remove_dataset(ref)
    return dataset.ref


def _datasets(
    data: object, folder: Path, settings: Settings, places: DatastorePaths
) -> tuple[list[Dataset], list[Problem]]:
    if not isinstance(data, list) or not data:
        return [], [Problem("", "must be a list [{…}] of one definition or more")]
    datasets, problems = [], []
    for index, item in enumerate(data):
        definition, found = check(DatasetDefinition, item)
        if definition is not None:
            resolved, found = places.resolved(definition.splits())
            absolute = {name: _absolute(split, folder) for name, split in resolved.items()}
            found += open_dataset_files(settings).problems(absolute)
            found += _file_problems({name: split for name, split in absolute.items() if not _is_remote(split)})
            datasets += [] if found else [_dataset(definition, absolute)]
        problems += [Problem(f"[{index}].{p.path}".rstrip("."), p.message) for p in found]
    return datasets, problems


def _dataset(definition: DatasetDefinition, splits: dict[str, DatasetSplit]) -> Dataset:
    tokens: dict[str, SasToken] = {}
    shown: dict[str, DatasetSplit] = {}
    for name, split in splits.items():
        shown[name], found = detach_sas_tokens(split)
        tokens |= {token.url: token for token in found}
    return Dataset(
        id=dataset_id(definition.name, definition.version),
        name=definition.name,
        version=definition.version,
        created_at=datetime.now(UTC),
        sas_tokens=list(tokens.values()),
        **shown,
    )


def _absolute(split: DatasetSplit, folder: Path) -> DatasetSplit:
    return DatasetSplit(
        path=_resolve(split.path, folder),
        support_files=[_resolve(path, folder) for path in split.support_files],
    )


def _resolve(path: str, folder: Path) -> str:
    return path if is_url(path) else str(folder / Path(path).expanduser())


def _is_remote(split: DatasetSplit) -> bool:
    return any(map(is_url, (split.path, *split.support_files)))


def _file_problems(splits: dict[str, DatasetSplit]) -> list[Problem]:
    """What is wrong with files of this machine: every split is read, with the training's classes, and each image looked
    for."""
    problems: list[Problem] = []
    lists: dict[str, ImageList] = {}
    for name, split in splits.items():
        missing = _missing(name, split)
        problems += missing
        if missing:
            continue
        try:
            lists[name] = read_split(Path(split.path), split.path, lists.get("train"))
        except DataError as error:
            problems.append(Problem(f"{name}.path", str(error)))
    return problems


def _missing(name: str, split: DatasetSplit) -> Sequence[Problem]:
    named = [(f"{name}.path", split.path)]
    named += [(f"{name}.support_files[{i}]", path) for i, path in enumerate(split.support_files)]
    return [Problem(where, f"there is no file or folder {path}") for where, path in named if not Path(path).exists()]

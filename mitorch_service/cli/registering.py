"""What midataset register and remove do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from mitorch_service.errors import DataError, InvalidInput, NotAllowed, Problem
from mitorch_service.models.dataset import Dataset, DatasetDefinition, DatasetPart, DatasetRef, dataset_id
from mitorch_service.models.status import ACTIVE, TrainingStatus
from mitorch_service.models.validation import check, parse_json
from mitorch_service.settings import read_settings
from mitorch_service.stores.browse import TrainingFilter
from mitorch_service.training.dataset_text import read_image_list
from mitorch_service.training.file_check import check_files
from mitorch_service.training.image_list import ImageList, same_classes
from mitorch_service.wiring import open_store


def register_file(path: str) -> list[DatasetRef]:
    """Registers every definition in the file, or none. Raises InvalidInput with every problem, AlreadyExists."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(path, [Problem("", f"cannot be read: {error.strerror}")]) from error
    datasets, problems = _datasets(parse_json(path, content), Path(path).absolute().parent)
    store = open_store(read_settings())
    for index, dataset in enumerate(datasets):
        if any(known.id == dataset.id for known in [*store.list_datasets().items, *datasets[:index]]):
            taken = f"{dataset.ref} is registered already; give it the next version"
            problems.append(Problem(f"[{index}].version", taken))
    if problems:
        raise InvalidInput(path, problems)
    store.prepare()
    for dataset in datasets:
        store.add_dataset(dataset)
    return [dataset.ref for dataset in datasets]


def remove_version(ref: DatasetRef) -> DatasetRef:
    """Removes one version. Raises NotFound; NotAllowed while a training that has not ended is pinned to it."""
    store = open_store(read_settings())
    dataset = store.get_dataset(ref)
    if ref.version is None:
        raise InvalidInput("NAME:V", [Problem(ref.name, f"name the version to remove, such as {dataset.ref}")])
    for status in (TrainingStatus.NEW, *ACTIVE):
        for row in store.list_trainings(TrainingFilter(status, dataset=ref.name), limit=1000).items:
            if row.dataset == dataset.ref:
                remedy = f"Cancel training {row.id} first, or let it end."
                raise NotAllowed("data set", str(ref), "in use", "removed", remedy)
    store.remove_dataset(ref)
    return dataset.ref


def _datasets(data: object, folder: Path) -> tuple[list[Dataset], list[Problem]]:
    if not isinstance(data, list) or not data:
        return [], [Problem("", "must be a list [{…}] of one definition or more")]
    datasets, problems = [], []
    for index, item in enumerate(data):
        definition, found = check(DatasetDefinition, item)
        if definition is not None:
            absolute = {name: _absolute(part, folder) for name, part in definition.parts().items()}
            found = _file_problems(absolute)
            datasets.append(_dataset(definition, absolute))
        problems += [Problem(f"[{index}].{p.path}".rstrip("."), p.message) for p in found]
    return datasets, problems


def _dataset(definition: DatasetDefinition, parts: dict[str, DatasetPart]) -> Dataset:
    return Dataset(
        id=dataset_id(definition.name, definition.version),
        name=definition.name,
        version=definition.version,
        created_at=datetime.now(UTC),
        **parts,
    )


def _absolute(part: DatasetPart, folder: Path) -> DatasetPart:
    return DatasetPart(
        path=_resolve(part.path, folder),
        support_files=[_resolve(path, folder) for path in part.support_files],
    )


def _resolve(path: str, folder: Path) -> str:
    return path if urlsplit(path).scheme in ("http", "https") else str(folder / Path(path).expanduser())


def _file_problems(parts: dict[str, DatasetPart]) -> list[Problem]:
    """What is wrong with the files themselves: every split is read and each image looked for."""
    problems: list[Problem] = []
    lists: dict[str, ImageList] = {}
    for name, part in parts.items():
        missing = _missing(name, part)
        problems += missing
        if missing:
            continue
        try:
            lists[name] = read_image_list(Path(part.path), part.path)
            check_files(lists[name])
            same_classes(lists["train"], lists[name])
        except KeyError:
            continue  # the training split has a problem of its own
        except DataError as error:
            problems.append(Problem(f"{name}.path", str(error)))
    return problems


def _missing(name: str, part: DatasetPart) -> Sequence[Problem]:
    named = [(f"{name}.path", part.path)]
    named += [(f"{name}.support_files[{i}]", path) for i, path in enumerate(part.support_files)]
    problems = []
    for where, path in named:
        if urlsplit(path).scheme in ("http", "https"):
            problems.append(Problem(where, "is a URL; this version reads data sets from folders only"))
        elif not Path(path).is_file():
            problems.append(Problem(where, f"there is no file {path}"))
    return problems

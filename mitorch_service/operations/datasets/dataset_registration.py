"""Registers data sets from a file of definitions, and removes versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import BrokenDocument, DataError, InvalidInput, NotAllowed, NotFound, Problem
from mitorch_service.models.base import JsonObject
from mitorch_service.models.blob_storage.sas import is_url
from mitorch_service.models.config.validation import MAX_CONFIG_BYTES, check, parse_config
from mitorch_service.models.dataset import (
    MAX_COUNTED_CLASSES,
    ClassCount,
    Dataset,
    DatasetDefinition,
    DatasetRef,
    DatasetSplit,
    SasToken,
    SplitContents,
    SplitLeaks,
    dataset_id,
    detach_sas_tokens,
)
from mitorch_service.models.status import OPEN
from mitorch_service.operations.datasets.dataset_leaks import find_cheap_leaks
from mitorch_service.operations.datasets.datastores import DatastorePaths
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import read_split

MAX_VERSIONS = 10_000  # of a data set, that are compared with a new one


@dataclass(frozen=True)
class Registered:
    """A version that was registered, was `present` before, or whose SAS tokens were `renewed`."""

    ref: DatasetRef
    renewed: bool = False
    present: bool = False


@dataclass(frozen=True)
class DatasetRegistry:
    """Registers and removes data sets in a store, after checking their files."""

    store: Store
    files: DatasetFiles
    datastores: DatastorePaths

    def register_file(self, path: str) -> list[Registered]:
        """Registers every definition in the file, or none. A registered version with the same files and other SAS
        tokens gets these. Raises InvalidInput with every problem, AlreadyExists."""
        try:
            with Path(path).open("rb") as file:
                content = file.read(MAX_CONFIG_BYTES + 1)
        except OSError as error:
            raise InvalidInput(path, [Problem("", f"cannot be read: {error.strerror}")]) from error
        datasets, problems = self._check_all(parse_config(path, content), Path(path).absolute().parent)
        known = {dataset.id: dataset for dataset in self.store.datasets.list_datasets().items}
        renewed: set[str] = set()
        for index, dataset in enumerate(datasets):
            if dataset.id in known and dataset.id not in renewed and _renews(dataset, known[dataset.id]):
                renewed.add(dataset.id)
            elif dataset.id in known:
                taken = f"{dataset.ref} is registered already; give it the next version"
                problems.append(Problem(f"[{index}].version", taken))
            known[dataset.id] = dataset
        if problems:
            raise InvalidInput(path, problems)
        self.store.prepare()
        for dataset in datasets:
            if dataset.id in renewed:
                self.store.datasets.renew_tokens(dataset)
            else:
                self.store.datasets.add_dataset(dataset)
        return [Registered(dataset.ref, dataset.id in renewed) for dataset in datasets]

    def register_content(
        self,
        source: str,
        name: str,
        splits: Mapping[str, DatasetSplit],
        imported_from: JsonObject,
        copies: Mapping[str, DatasetSplit] | None = None,
    ) -> Registered:
        """Registers the files as the next version of the data set, unless a version has exactly these files. `source`:
        what messages call it. `copies`: the same files on this machine, from which they were stored just now; these
        are read, and the others are not asked for. Raises InvalidInput with every problem, AlreadyExists if others
        register at the same time."""
        versions = self.store.datasets.versions_of(name, limit=MAX_VERSIONS)
        same = next((one.ref for one in versions if one.splits() == splits), None)
        if same is not None:
            return Registered(same, present=True)
        version = versions[0].version + 1 if versions else 1
        item = {"name": name, "version": version, **{key: split.model_dump() for key, split in splits.items()}}
        dataset, problems = self._check(item, Path("/"), copies)
        if problems or dataset is None:
            raise InvalidInput(source, problems)
        self.store.prepare()
        known = next((one for one in versions if one.splits() == dataset.splits()), None)
        if known is not None:  # its files are named by a datastore, whose tokens are new each time
            renewed = dataset.model_copy(update={"id": known.id, "version": known.version})
            self.store.datasets.renew_tokens(renewed)
            return Registered(known.ref, renewed=True, present=True)
        self.store.datasets.add_dataset(dataset.model_copy(update={"imported_from": imported_from}))
        return Registered(dataset.ref)

    def _check_all(self, data: object, folder: Path) -> tuple[list[Dataset], list[Problem]]:
        """`folder`: relative paths start from it."""
        if not isinstance(data, list) or not data:
            return [], [Problem("", "must be a list [{…}] of one definition or more")]
        datasets: list[Dataset] = []
        problems: list[Problem] = []
        for index, item in enumerate(data):
            dataset, found = self._check(item, folder)
            datasets += [] if dataset is None else [dataset]
            problems += [Problem(f"[{index}].{p.path}".rstrip("."), p.message) for p in found]
        return datasets, problems

    def _check(
        self, item: object, folder: Path, copies: Mapping[str, DatasetSplit] | None = None
    ) -> tuple[Dataset | None, list[Problem]]:
        definition, problems = check(DatasetDefinition, item)
        if definition is None:
            return None, problems
        resolved, problems = self.datastores.resolve(definition.splits())
        splits = {name: _absolute(split, folder) for name, split in resolved.items()}
        problems += [] if copies is not None else self.files.problems(splits)
        read = {name: split for name, split in splits.items() if not _is_remote(split)} if copies is None else copies
        lists, wrong = _read_files(read)
        problems += wrong
        return (None if problems else _build(definition, splits, lists)), problems


def checked_name(argument: str, name: str) -> str:
    """Returns the name of a data set. Raises InvalidInput naming the argument if it is none."""
    split = {"path": "-"}
    _, problems = check(DatasetDefinition, {"name": name, "version": 1, "train": split, "val": split})
    if problems:
        raise InvalidInput(argument, [Problem(repr(name), problem.message) for problem in problems])
    return name


def remove_version(store: Store, ref: DatasetRef) -> DatasetRef:
    """Removes one version, or what cannot be read under this `_id`. Raises NotFound; NotAllowed while a training that
    has not ended is pinned to it."""
    try:
        dataset = store.datasets.get_dataset(ref)
    except BrokenDocument:  # no training can use it
        store.datasets.remove_dataset(ref)
        return ref
    except NotFound:
        if store.datasets.remove_unreadable(str(ref)):
            return ref
        raise
    if ref.version is None:
        raise InvalidInput("NAME:V", [Problem(ref.name, f"name the version to remove, such as {dataset.ref}")])
    for status in OPEN:
        for row in store.trainings.list_trainings(TrainingFilter(status, dataset=ref.name), limit=1000).items:
            if row.dataset == dataset.ref:
                remedy = f"Cancel training {row.id} first, or let it end."
                raise NotAllowed("data set", str(ref), "in use", "removed", remedy)
    store.datasets.remove_dataset(ref)
    return dataset.ref


def _build(definition: DatasetDefinition, splits: dict[str, DatasetSplit], lists: Mapping[str, ImageList]) -> Dataset:
    """The document, with its SAS tokens apart from its paths."""
    tokens: dict[str, SasToken] = {}
    shown: dict[str, DatasetSplit] = {}
    for name, split in splits.items():
        shown[name], found = detach_sas_tokens(split)
        tokens |= {token.url: token for token in found}
    leaks = find_cheap_leaks(lists)
    return Dataset(
        id=dataset_id(definition.name, definition.version),
        name=definition.name,
        version=definition.version,
        created_at=datetime.now(UTC),
        sas_tokens=list(tokens.values()),
        contents={name: _contents(images, leaks.get(name)) for name, images in lists.items()},
        **shown,
    )


def _contents(images: ImageList, leaks: SplitLeaks | None) -> SplitContents:
    shown = images.targets.images_per_class()
    names = images.classes[:MAX_COUNTED_CLASSES]
    counts = [ClassCount(name=name, count=shown[label]) for label, name in enumerate(names)]
    known = {"kind": images.kind, "images": len(images), "classes": len(images.classes)}
    return SplitContents(**known, counts=counts, leaks=leaks)


def _renews(dataset: Dataset, registered: Dataset) -> bool:
    """Whether only the SAS tokens differ."""
    return dataset.splits() == registered.splits() and dataset.sas_tokens != registered.sas_tokens


def _absolute(split: DatasetSplit, folder: Path) -> DatasetSplit:
    return DatasetSplit(
        path=_resolve(split.path, folder),
        support_files=[_resolve(path, folder) for path in split.support_files],
    )


def _resolve(path: str, folder: Path) -> str:
    if is_url(path):
        return path
    try:
        return str(folder / Path(path).expanduser())
    except RuntimeError:  # ~ and the name of nobody: a file that is not there
        return str(folder / path)


def _is_remote(split: DatasetSplit) -> bool:
    return any(map(is_url, (split.path, *split.support_files)))


def _read_files(splits: Mapping[str, DatasetSplit]) -> tuple[dict[str, ImageList], list[Problem]]:
    """Reads every split of this machine, with the training's classes, and checks that each image exists."""
    problems: list[Problem] = []
    lists: dict[str, ImageList] = {}
    for name, split in splits.items():
        missing = _missing(name, split)
        problems += missing
        if missing:
            continue
        try:
            lists[name] = read_split(Path(split.path), split.path, lists.get("train"), name)
        except DataError as error:
            problems.append(Problem(f"{name}.path", str(error)))
    return lists, problems


def _missing(name: str, split: DatasetSplit) -> Sequence[Problem]:
    named = [(f"{name}.path", split.path)]
    named += [(f"{name}.support_files[{i}]", path) for i, path in enumerate(split.support_files)]
    return [Problem(where, f"there is no file or folder {path}") for where, path in named if not _exists(path)]


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name that no file system can hold
        return False

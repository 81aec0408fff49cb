"""Finds images that the splits of a data set share: some at registration, all on request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from mitorch_service.models.dataset import MAX_NEAR_IMAGES, Dataset, SplitLeaks
from mitorch_service.operations.datasets.dataset_split import paths_of
from mitorch_service.stores.base import Store
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.duplicates import find_duplicates
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splitting.groups import find_groups
from mitorch_service.training.data.splitting.joined_list import concatenate
from mitorch_service.training.data.splitting.recordings import guess_recordings

if TYPE_CHECKING:
    from mitorch_service.training.data.leaks.leak_check import Compare, Frames, LeakReport

_MOST_NAMES = 300_000  # images whose names are compared at registration: about a second


@dataclass(frozen=True)
class CheckedDataset:
    """The splits of a version, and what they share."""

    dataset: Dataset  # with what was found
    lists: dict[str, ImageList]
    report: LeakReport
    seconds: float


def find_cheap_leaks(lists: Mapping[str, ImageList]) -> dict[str, SplitLeaks]:
    """Compares paths, contents where that is cheap (`find_duplicates`), and the names of frames; decodes nothing.
    Leaves out splits whose files cannot be compared."""
    found = {}
    of_recordings = _shared_recordings(lists)
    for name, images in lists.items():
        if name == "train" or "train" not in lists:
            continue
        start = time.monotonic()
        try:
            shared = find_duplicates(lists["train"], images)
        except (OSError, BadZipFile, KeyError):  # the training's business
            continue
        rule, counts, seconds = of_recordings
        found[name] = SplitLeaks(
            same_file=len(shared.by_path),
            same_content=len(shared.by_content),
            same_recording=counts.get(name),
            recordings=rule,
            seconds=round(time.monotonic() - start + seconds, 2),
        )
    return found


def check_dataset(
    store: Store, dataset: Dataset, group: str | None = None, compare: Compare | None = None
) -> CheckedDataset:
    """Compares all images of a version's splits (`check_leaks`), and records the counts in its document.

    `group`: as of a split (`find_groups`); None: recordings by their names, if those tell them. Raises NotAllowed for
    files in blob storage, DataError, InvalidInput.
    """
    from mitorch_service.training.data.leaks.leak_check import check_leaks

    start = time.monotonic()
    lists = read_all_splits(dataset)
    report = check_leaks(lists, _frames(dataset, lists, group), compare)
    seconds = time.monotonic() - start
    checked = _with_leaks(dataset, report, seconds)
    store.datasets.record_leaks(checked)
    return CheckedDataset(checked, lists, report, seconds)


def read_all_splits(dataset: Dataset) -> dict[str, ImageList]:
    """The splits of a registered version, with the classes of train. Raises NotAllowed, DataError."""
    paths = paths_of(dataset)
    lists: dict[str, ImageList] = {}
    for name, (shown, path) in zip(dataset.splits(), paths.items(), strict=True):
        train = lists.get("train")
        classes = ClassList(train.classes, f"the classes of {train.name}") if train and train.classes_named else None
        images = read_image_list(path, shown, classes, name)
        check_files(images)
        lists[name] = images.as_kind(train.kind) if train is not None else images
    return lists


def _frames(dataset: Dataset, lists: Mapping[str, ImageList], group: str | None) -> Frames | None:
    from mitorch_service.training.data.leaks.leak_check import Frames

    if group is None:
        found = guess_recordings(*_names(lists))
        return None if found is None else Frames(found.of_image, f"guessed: {found.rule}")
    tables = {
        path: images.folder
        for path, images in zip(paths_of(dataset).values(), lists.values(), strict=True)
        if path.suffix.lower() == ".csv"
    }
    groups, rule = find_groups(concatenate(list(lists.values()), str(dataset.ref)), group, tables)
    return Frames(groups, rule)


def _names(lists: Mapping[str, ImageList]) -> tuple[list[str], list[object]]:
    names = [name for images in lists.values() for name in images.images]
    classes = [tuple(images.targets.labels_of(index)) for images in lists.values() for index in range(len(images))]
    return names, list(classes)


def _shared_recordings(lists: Mapping[str, ImageList]) -> tuple[str, dict[str, int], float]:
    """How recordings are told apart, the images of each split that are of a recording of train, and the seconds."""
    start = time.monotonic()
    if sum(map(len, lists.values())) > _MOST_NAMES or "train" not in lists:
        return "", {}, 0.0
    found = guess_recordings(*_names(lists))
    if found is None:
        return "", {}, 0.0
    position, of_split = 0, {}
    for name, images in lists.items():
        of_split[name] = found.of_image[position : position + len(images)]
        position += len(images)
    known = set(filter(None, of_split["train"]))
    counts = {name: sum(one in known for one in ones) for name, ones in of_split.items()}
    return f"guessed: {found.rule}", counts, time.monotonic() - start


def _with_leaks(dataset: Dataset, report: LeakReport, seconds: float) -> Dataset:
    counts = report.counts()
    contents = dict(dataset.contents)
    for name, of_kind in counts.items():
        if name not in contents:
            continue
        near = [leak.index for leak in report.leaks if leak.split == name and leak.kind == "near-duplicate"]
        leaks = SplitLeaks(
            same_file=of_kind["same file"],
            same_content=of_kind["same content"],
            near_duplicates=of_kind["near-duplicate"],
            same_recording=of_kind["same recording"] if report.recordings else None,
            recordings=report.recordings,
            seconds=round(seconds, 2),
            near_images=sorted(near)[:MAX_NEAR_IMAGES],
        )
        contents[name] = contents[name].model_copy(update={"leaks": leaks})
    return dataset.model_copy(update={"contents": contents})

"""Splits a registered data set, or files of one, into train, val and test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mitorch_service.errors import InvalidInput, NotAllowed, Problem
from mitorch_service.models.blob_storage.sas import is_url
from mitorch_service.models.dataset import Dataset
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splitting.groups import find_groups
from mitorch_service.training.data.splitting.joined_list import join
from mitorch_service.training.data.splitting.split_files import write_parts
from mitorch_service.training.data.splitting.split_request import SplitRequest
from mitorch_service.training.data.splitting.splitting import Split, digest, split_images

# The cluster of each image, and what to record of how they were found.
FindClusters = Callable[[ImageList], tuple[Sequence[int], dict[str, Any]]]


@dataclass(frozen=True)
class Source:
    """The images to be split."""

    images: ImageList
    named: list[str]  # the data set's version, or the files
    tables: Mapping[Path, Path]  # CSV files among them, with the folder of their images
    remark: str


@dataclass(frozen=True)
class WrittenSplit:
    """A split, its files, and what is recorded of it."""

    split: Split
    files: dict[str, Path]  # of each part
    record: dict[str, Any]


def read_source(paths: Mapping[str, Path], name: str, named: Sequence[str]) -> Source:
    """Reads files of one data set and joins them. `paths`: by the name in messages; the first gives the classes.
    Raises DataError, InvalidInput for files of several kinds."""
    lists: list[ImageList] = []
    for shown, path in paths.items():
        first = lists[0] if lists else None
        classes = ClassList(first.classes, f"the classes of {first.name}") if first and first.classes_named else None
        images = read_image_list(path, shown, classes)
        check_files(images)
        lists.append(images)
    multilabel = any(one.kind == "multilabel" for one in lists)
    lists = [one.as_kind("multilabel") if multilabel else one for one in lists]
    if len({one.kind for one in lists}) > 1:
        kinds = ", ".join(f"{one.name}: {one.kind}" for one in lists)
        raise InvalidInput("midataset split", [Problem("FILES", f"are of several kinds ({kinds}): split each alone")])
    most = max(lists, key=lambda one: len(one.classes)).classes
    images, remark = join([replace(one, classes=most) for one in lists], name)
    tables = {
        path: one.folder for path, one in zip(paths.values(), lists, strict=True) if path.suffix.lower() == ".csv"
    }
    return Source(images, list(named), tables, remark)


def paths_of(dataset: Dataset) -> dict[str, Path]:
    """The files of all splits of a registered version, by their names in messages. Raises NotAllowed for files in blob
    storage."""
    splits = dataset.splits()
    if any(is_url(path) for split in splits.values() for path in (split.path, *split.support_files)):
        remedy = "Download its files, and name those."
        raise NotAllowed("data set", str(dataset.ref), "in blob storage", "split", remedy)
    return {f"{dataset.ref} {name}": Path(split.path) for name, split in splits.items()}


def split_source(
    source: Source, request: SplitRequest, folder: Path, find_clusters: FindClusters | None = None
) -> WrittenSplit:
    """Splits the images and writes the parts (`write_parts`). Raises InvalidInput and DataError before anything is
    written."""
    request.fractions()
    record: dict[str, Any] = {
        "made_by": "midataset split",
        "source": source.named,
        "images": len(source.images),
        "digest": digest(source.images),
        "by": request.by,
        "fractions": request.fractions(),
        "seed": request.seed,
    }
    groups = None
    if request.by == "group" or request.group is not None:
        groups, rule = find_groups(source.images, request.group, source.tables)
        record |= {"groups": {"rule": rule, "count": len(set(groups))}}
    clusters = None
    if find_clusters is not None:
        clusters, described = find_clusters(source.images)
        record["clusters"] = described
    split = split_images(source.images, request, groups, clusters)
    if clusters is not None:
        record["clusters"]["images"] = _shares(split, clusters)
    record["counts"] = {
        name: {"images": len(part), "classes": {one: split.counts[name][one] for one in part.classes}}
        for name, part in split.parts.items()
    }
    return WrittenSplit(split, write_parts(folder, split.parts, record), record)


def _shares(split: Split, clusters: Sequence[int]) -> list[dict[str, int]]:
    """The images of each cluster in each part."""
    found = [dict.fromkeys(split.parts, 0) for _ in range(max(clusters) + 1)]
    for cluster, part in zip(clusters, split.of_image, strict=True):
        found[cluster][part] += 1
    return found

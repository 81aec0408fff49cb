"""Makes a data set of the tasks of a CVAT server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import CvatError, InvalidInput, Problem
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.cvat.documents import Task
from mitorch_service.interop.cvat.server import CvatServer
from mitorch_service.interop.obdb.annotated_frames import classes_of, split_every
from mitorch_service.interop.obdb.dataset_folder import write_splits
from mitorch_service.models.base import JsonObject
from mitorch_service.training.data.annotated_images import annotated_images, as_stored
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import split_entry
from mitorch_service.training.data.images.stored_images import StoredImage
from mitorch_service.wording.counted import counted


@dataclass(frozen=True)
class PulledDataset:
    """The files of the data set, where it came from, and remarks for people."""

    splits: Mapping[str, Path]  # train and val
    lineage: JsonObject
    remarks: Sequence[str]


def pull(server: CvatServer, tasks: Sequence[Task], folder: Path, access: FileAccess, val_every: int) -> PulledDataset:
    """Downloads the tasks that have changed since they were downloaded into `folder` before, and writes the data set's
    files there. Of `val_every` images, one validates. Raises CvatError, InvalidInput if there is nothing to train on,
    DataError, ArtifactError."""
    of_tasks: list[list[AnnotatedImage]] = []
    fetched = 0
    for task in tasks:
        path, new = download(server, task, folder, access)
        fetched += new
        of_tasks.append([as_stored(image, stored) for image, stored in annotated_in(path)])
    source = ", ".join(task.name for task in tasks)
    images, left_out = _of_one_kind(of_tasks, source)
    train, val, moved = split_every(images, val_every)
    if not any(map(classes_of, val)):
        problem = "has too few images with annotations: none is left to validate. Add tasks, or lower --val-every"
        raise InvalidInput(source, [Problem("", problem)])
    splits = write_splits({"train": train, "val": val}, folder, access)
    told = f"{counted(len(images), 'image')} with {_annotations(images)} of {counted(len(tasks), 'task')}"
    shares = f"{fetched} of them downloaded: {len(train)} to train, {len(val)} to validate"
    remarks = [f"{told}, {shares}", *left_out, *moved]
    lineage: JsonObject = {"system": "cvat", "source": server.url, "tasks": [task.to_document() for task in tasks]}
    return PulledDataset(splits, lineage, remarks)


def download(server: CvatServer, task: Task, folder: Path, access: FileAccess) -> tuple[Path, bool]:
    """The file that CVAT exports of a task as it is now, and whether it was downloaded just now."""
    path = folder / f"task-{task.id}-{task.revision}.zip"
    if path.is_file():
        return path, False
    try:
        access.make_folder(folder)
        server.export(task, path)
    except OSError as error:
        raise CvatError(server.url, f"{path} cannot be written ({error.strerror})", "Free space there.") from error
    return path, True


def annotated_in(path: Path) -> list[tuple[AnnotatedImage, StoredImage]]:
    """The images of an exported task with their boxes or tags, and how each is stored; paths are whole ones. Of a task
    with one tag an image at most, images without any are not among them. Raises DataError."""
    found = read_image_list(path)
    return [(replace(image, path=str(found.folder / image.path)), stored) for image, stored in annotated_images(found)]


def _of_one_kind(of_tasks: Sequence[list[AnnotatedImage]], source: str) -> tuple[list[AnnotatedImage], list[str]]:
    """Returns the images of a set of boxes, if any task has one, else those with tags; and remarks on what is left out.
    Raises InvalidInput if nothing is annotated."""
    tagged = [image for images in of_tasks if any(one.labels for one in images) for image in images]
    others = [image for images in of_tasks if not any(one.labels for one in images) for image in images]
    if any(image.boxes for image in others):
        told = f"{counted(len(tagged), 'image')} of tasks with tags left out, as others have boxes: pull those apart"
        return others, [told] if tagged else []
    kept = [image for image in tagged if image.labels]
    if not kept:
        raise InvalidInput(source, [Problem("", "no image has a box or a tag: nothing to train on")])
    untagged = len(tagged) + len(others) - len(kept)
    return kept, [f"{counted(untagged, 'image')} without a tag left out"] if untagged else []


def _annotations(images: Sequence[AnnotatedImage]) -> str:
    boxes, tags = (sum(map(len, found)) for found in zip(*((one.boxes, one.labels) for one in images), strict=True))
    return counted(boxes, "box", "boxes") if boxes else counted(tags, "tag")


def frame_name(path: str) -> str:
    """The name that a task has for one of its exported images (``archive.zip@images/NAME``)."""
    entry = split_entry(path)[1] or path
    return entry.removeprefix("images/").removeprefix("default/")

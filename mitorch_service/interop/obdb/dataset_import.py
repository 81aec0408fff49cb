"""Makes a data set of recordings in obdb's annotations database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.obdb.annotated_frames import annotated_frames, split_every
from mitorch_service.interop.obdb.annotation_database import read_recordings
from mitorch_service.interop.obdb.dataset_folder import located, write_splits
from mitorch_service.models.base import JsonObject
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.wording.counted import counted


@dataclass(frozen=True)
class Selection:
    """The recordings to import, and where they are."""

    uri: str  # may contain a password
    tasks: Sequence[str]
    images: Path  # the folder of their images
    database: str | None = None  # None: that which the URI names, else annotations
    val_every: int = 10  # frames, of which one validates


@dataclass(frozen=True)
class ImportedDataset:
    """The files of the data set, where it came from, and remarks for people."""

    splits: Mapping[str, Path]  # train and val
    imported_from: JsonObject
    remarks: Sequence[str]


def import_dataset(selection: Selection, folder: Path, access: FileAccess) -> ImportedDataset:
    """Reads the recordings and writes the data set's files below `folder`. Raises InvalidInput if something is missing
    or damaged, StoreUnavailable, StoreError, ArtifactError; then nothing was written."""
    database, recordings = read_recordings(selection.uri, selection.database, selection.tasks)
    images, remarks = annotated_frames(recordings)
    boxes = sum(len(image.boxes) for image in images)
    if not boxes:
        raise InvalidInput(", ".join(selection.tasks), [Problem("", "no frame has an annotation: nothing to train on")])
    train, val, moved = split_every(located(images, selection.images, "the folder of images"), selection.val_every)
    if not any(image.boxes for image in val):
        problem = (
            "too few annotated frames: each shows a class that no other one to train with has, and none is left to "
        )
        raise InvalidInput(", ".join(selection.tasks), [Problem("", f"{problem}validate. Add recordings.")])
    empty = sum(not image.boxes for image in images)
    told = f"{counted(len(images), 'frame')} ({empty} empty) with {counted(boxes, 'box', 'boxes')}"
    splits = write_splits({"train": train, "val": val}, folder, access)
    tasks = [{"name": one.name, "updated_date": one.updated} for one in recordings]
    place = {"system": "obdb", "source": mask_secrets(_shown(selection.uri)), "database": database}
    return ImportedDataset(
        splits,
        {**place, "tasks": tasks},
        [f"{told}: {len(train)} to train, {len(val)} to validate", *moved, *remarks],
    )


def _shown(uri: str) -> str:
    """The scheme and hosts of the address, without user, password and options."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2].partition('/')[0]}"

"""Writes annotated images as the files of a data set, in a folder that its content names."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.registry import write_annotations
from mitorch_service.annotations.writers.text import LIST
from mitorch_service.errors import ArtifactError, InvalidInput, Problem
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.content_folder import content_digest, place
from mitorch_service.interop.obdb.annotated_frames import classes_of
from mitorch_service.wording.counted import counted

_SHOWN = 3  # missing images that a message names


def located(images: Sequence[AnnotatedImage], folder: Path, source: str) -> list[AnnotatedImage]:
    """Returns the images with the whole paths of their files, those of one file as one image with the boxes of all. The
    files are below the folder under the names in obdb, or under the ends of these: its programs put other folders
    before them. Raises InvalidInput naming what is missing."""
    found = [(image, _file(folder, image.path)) for image in images]
    missing = [image.path for image, path in found if path is None]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + ", …" * (len(missing) > _SHOWN)
        problem = f"{counted(len(missing), 'image')} of {len(images)} not found below it: {shown}. Name their folder."
        raise InvalidInput(source, [Problem(str(folder), problem)])
    merged: dict[str, AnnotatedImage] = {}
    for image, path in found:
        before = merged.get(str(path))
        boxes = image.boxes if before is None else tuple(dict.fromkeys((*before.boxes, *image.boxes)))
        merged[str(path)] = replace(image, path=str(path), boxes=boxes)
    return list(merged.values())


def _file(folder: Path, name: str) -> Path | None:
    parts = Path(name.lstrip("/")).parts
    if ".." in parts:
        return None
    candidates = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((one.absolute() for one in candidates if one.is_file()), None)


def write_splits(splits: Mapping[str, Sequence[AnnotatedImage]], folder: Path, access: FileAccess) -> dict[str, Path]:
    """Writes ``<split>.csv`` for each split, or ``<split>/images.txt`` if images have several classes, below `folder`,
    in a folder named by their content; returns the splits' files, each with a ``labels.txt`` beside it. The same
    content has the same files, which are never changed. Raises ArtifactError, and DataError for names that they cannot
    hold."""
    everything = [image for images in splits.values() for image in images]
    classes = sorted(set().union(*map(classes_of, everything)))
    labels = class_list_text(classes)
    several = any(len(image.labels) > 1 for image in everything)  # of which CSV holds one
    started = folder / f".{uuid.uuid4().hex}.part"
    try:
        access.make_folder(started)
        for name, images in splits.items():
            if several:
                write_annotations("text", images, classes, started / name)
            else:
                write_annotations("csv", images, classes, started / f"{name}.csv")
        (started / "labels.txt").write_text(labels, encoding="utf-8")
        target = folder / content_digest(started)
        place(started, target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror}). Free space there, or set MITORCH_HOME."
        raise ArtifactError("the data set", str(folder), problem) from error
    finally:
        shutil.rmtree(started, ignore_errors=True)
    return {name: target / name / LIST if several else target / f"{name}.csv" for name in splits}

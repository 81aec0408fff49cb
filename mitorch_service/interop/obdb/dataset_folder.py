"""Writes annotated images as the files of a data set: boxes in CSV, in a folder that its content names."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.registry import write_annotations
from mitorch_service.errors import ArtifactError, InvalidInput, Problem
from mitorch_service.file_access import FileAccess
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
    """Writes ``<split>.csv`` for each split and ``labels.txt`` below `folder`, in a folder named by their content;
    returns the splits' files. The same content has the same files, which are never changed. Raises ArtifactError, and
    DataError for names that CSV cannot hold."""
    classes = sorted({box.class_name for images in splits.values() for image in images for box in image.boxes})
    started = folder / f".{uuid.uuid4().hex}.part"
    try:
        access.make_folder(started)
        for name, images in splits.items():
            write_annotations("csv", images, classes, started / f"{name}.csv")
        (started / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
        target = folder / _digest(started)
        _place(started, target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror}). Free space there, or set MITORCH_HOME."
        raise ArtifactError("the data set", str(folder), problem) from error
    finally:
        shutil.rmtree(started, ignore_errors=True)
    return {name: target / f"{name}.csv" for name in splits}


def _place(started: Path, target: Path) -> None:
    """Gives a whole folder its name, unless there is one of the same content."""
    try:
        if not target.is_dir():
            started.replace(target)
    except OSError:
        if not target.is_dir():  # another process was not faster
            raise


def _digest(folder: Path) -> str:
    """A name that follows from the names and the content of the folder's files."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        found.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]

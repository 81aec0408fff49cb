"""Writes annotated images as the files of a data set: boxes in CSV, in a folder that its content names."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import ArtifactError, InvalidInput, Problem
from mitorch_service.file_access import FileAccess
from mitorch_service.wording.counted import counted

_HEADER = ("filename", "xmin", "ymin", "xmax", "ymax", "class")
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
    returns the splits' files. The same content has the same files, which are never changed. Raises ArtifactError."""
    classes = sorted({box.class_name for images in splits.values() for image in images for box in image.boxes})
    files = {f"{name}.csv": _rows(images) for name, images in splits.items()}
    files["labels.txt"] = "".join(f"{name}\n" for name in classes)
    digest = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in files.items()).encode()).hexdigest()[:16]
    target = folder / digest
    if not target.is_dir():
        try:
            _write(files, target, access)
        except OSError as error:
            problem = f"cannot be written ({error.strerror}). Free space there, or set MITORCH_HOME."
            raise ArtifactError(target.name, str(folder), problem) from error
    return {name: target / f"{name}.csv" for name in splits}


def _rows(images: Sequence[AnnotatedImage]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for image in images:
        for box in image.boxes:
            corners = (f"{side:.10g}" for side in (box.left, box.top, box.right, box.bottom))
            writer.writerow([image.path, *corners, box.class_name])
        if not image.boxes:
            writer.writerow([image.path, *[""] * 5])
    return text.getvalue()


def _write(files: Mapping[str, str], target: Path, access: FileAccess) -> None:
    """Writes all files, or none: the folder appears under its name when it is complete."""
    started = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    access.make_folder(started)
    try:
        for name, text in files.items():
            with open(started / name, "w", encoding="utf-8", newline="", opener=access.opener) as file:
                file.write(text)
        started.rename(target)
    except OSError:
        shutil.rmtree(started, ignore_errors=True)
        if not target.is_dir():  # else another process has written the same meanwhile
            raise

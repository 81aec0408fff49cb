"""Pascal VOC: one XML file for each image, ``Annotations/`` beside ``JPEGImages/`` (or ``images/``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.formats.folder_tree import files_below
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.formats.voc.voc_images import ImageNames
from mitorch_service.training.data.formats.voc.voc_xml import Annotation, read_annotation
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.left_out import LeftOut
from mitorch_service.training.data.parallel_readers import Call, results
from mitorch_service.training.data.regular_files import is_file, is_folder, open_text

_FILES_PER_CALL = 200
_IMAGE_FOLDERS = ("JPEGImages", "images", ".")  # in the root; images may also be beside the XML files
_NO_XML = "neither .xml nor the extension of an image"
_NAMES = re.compile(r'"([^"]+)"|(\S+)')  # in quotes if they have spaces
_UNLISTED = "an image without an XML file: one that shows nothing needs one without an <object>"
_MARKED = "marked -1 in the list"


class Voc(NamedTuple):
    """The folders and files of a data set."""

    root: Path
    annotations: Path
    split: Path | None = None  # lists the names to read; None: all


def find_voc(path: Path) -> Voc | None:
    """The data set whose root, folder of XML files or list (``ImageSets/*/*.txt``) `path` is, or None."""
    if is_file(path):
        root = path.parent.parent.parent
        listed = path.parent.parent.name == "ImageSets" and is_folder(root / "Annotations")
        return Voc(root, root / "Annotations", path) if listed else None
    if is_folder(path):
        if _has_xml(path / "Annotations", deep=True):
            return Voc(path, path / "Annotations")
        if _has_xml(path, deep=path.name == "Annotations"):
            return Voc(path if any(is_folder(path / one) for one in _IMAGE_FOLDERS[:2]) else path.parent, path)
    return None


def read_voc(voc: Voc, name: str, classes: ClassList | None) -> ImageList:
    """Reads a detection set; without `classes`, they are the objects' names, sorted.

    VOC counts pixels from 1 and includes the last one, so corners become x_min - 1, y_min - 1, x_max, y_max. Objects
    marked as difficult count like the others. XML files may be in folders at any depth, with their images in folders of
    the same names. Raises DataError with the XML file for whatever does not fit.
    """
    left_out = LeftOut(name)
    files = list(_listed(voc.annotations, voc.split, name, left_out) if voc.split else _all(voc.annotations, left_out))
    images = _find_images(voc, files)
    seen: set[str] = set()
    found = collect_boxes(_entries(voc.annotations, files, images, seen), name, "file", classes, [images.folder])
    if voc.split is None:
        for image in images.all():
            if image not in seen:
                left_out.add(_UNLISTED, f"{images.folder.name}/{image}")
    left_out.log()
    return found


def _has_xml(folder: Path, *, deep: bool) -> bool:
    for _, folders, files in os.walk(folder, followlinks=deep):
        if any(map(_is_xml, files)):
            return True
        if not deep:
            folders.clear()
    return False


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml") and not name.startswith(".")


def _all(folder: Path, left_out: LeftOut) -> Iterator[str]:
    """The XML files, relative to their folder."""
    for file in files_below(folder, left_out):
        if _is_xml(file):
            yield file
        elif not has_image_suffix(file):
            left_out.add(_NO_XML, f"{folder.name}/{file}")


def _listed(folder: Path, split: Path, name: str, left_out: LeftOut) -> Iterator[str]:
    """The XML files of the names in a list, relative to their folder."""
    for line in _lines(split, name):
        names = [quoted or plain for quoted, plain in _NAMES.findall(line)]
        if names[1:2] == ["-1"]:  # as a list for one class marks images without it
            left_out.add(_MARKED, names[0])
        elif names:
            found = next((one for one in (f"{names[0]}.xml", f"{names[0]}.XML") if is_file(folder / one)), None)
            if found is None:
                raise DataError(f"{name}: {names[0]} is listed, but {folder / names[0]}.xml is missing.")
            yield found


def _lines(split: Path, name: str) -> list[str]:
    try:
        with open_text(split) as file:
            return file.read().split("\n")  # a name may have what else Unicode calls the end of a line
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read as UTF-8 text ({error}).") from error


def _find_images(voc: Voc, files: Sequence[str]) -> ImageNames:
    """The images in the first folder that has the one of the first file."""
    folders = [ImageNames(one) for one in (*(voc.root / name for name in _IMAGE_FOLDERS), voc.annotations)]
    if not files:
        return folders[0]
    first = read_annotation(voc.annotations / files[0]).image
    return next((one for one in folders if is_file(one.folder / one.find(first, files[0]))), folders[0])


def _entries(folder: Path, files: Sequence[str], images: ImageNames, seen: set[str]) -> Iterator[Entry]:
    """An entry for each image, followed by one for each of its objects. Adds the images to `seen`."""
    for file, annotation in chain.from_iterable(results(_calls(folder, files))):
        image = images.find(annotation.image, file)
        where = str(folder / file)
        if image in seen:
            raise DataError(
                f"{where}: names {annotation.image}, which a file before it names as well. Correct <filename>."
            )
        seen.add(image)
        yield Entry(where, image, size=annotation.size)
        for label, corners in annotation.objects:
            yield Entry(where, image, label, corners)


def _calls(folder: Path, files: Iterable[str]) -> Iterator[Call[Iterable[tuple[str, Annotation]]]]:
    """Calls that read the XML files."""
    rest = iter(files)
    while part := list(islice(rest, _FILES_PER_CALL)):
        yield Call(_read_files, (folder, part))


def _read_files(folder: Path, files: Sequence[str]) -> list[tuple[str, Annotation]]:
    return [(file, read_annotation(folder / file)) for file in files]

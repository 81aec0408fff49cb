"""CVAT's XML: "CVAT for images 1.1" and "CVAT for video 1.1", alone or in the zip that CVAT exports."""

from __future__ import annotations

import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.cvat.cvat_document import CvatDocument, Found, read_document
from mitorch_service.training.data.formats.cvat.cvat_images import CvatImages
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.images.stored_images import StoredImage, stored_images
from mitorch_service.training.data.left_out import LeftOut
from mitorch_service.training.data.regular_files import is_file, is_folder, open_binary
from mitorch_service.training.data.targets import ClassSetTargets, ClassTargets

XML = "annotations.xml"
_LONGEST = 1 << 30  # bytes of it in an archive
_TAG = "a tag of an image, where others have boxes"
_UNTAGGED = "an image without a tag, where others have one"
_HEAD = 4096  # bytes, in which the root is


class CvatFile(NamedTuple):
    """A file that CVAT exported."""

    path: Path  # of the XML, or of the archive
    is_archive: bool


def find_cvat(path: Path) -> CvatFile | None:
    """The file that `path` is, or that is in the folder `path`; None for others."""
    if is_file(path):
        suffix = path.suffix.lower()
        return CvatFile(path, suffix == ".zip") if suffix in {".xml", ".zip"} else None
    if is_folder(path) and is_file(path / XML) and _is_cvat(path / XML):
        return CvatFile(path / XML, is_archive=False)
    return None


def read_cvat(file: CvatFile, name: str, classes: ClassList | None) -> ImageList:
    """Reads a set of boxes, or one of classes if the file has tags only: of one class each, unless an image has several
    tags.

    Without `classes`, they are the labels of the task in its order; in a file without <meta> those used, sorted. Of
    shapes that are no upright boxes, the boxes around them are kept, which is counted and logged; so is what is left
    out. CVAT counts pixels of the image as it is to be seen: boxes are turned to pixels of the image as stored. Images
    are looked for in ``images`` and beside the file. Raises DataError with the line for whatever does not fit.
    """
    with _opened(file, name) as xml:
        document = read_document(xml, name)
    if document.has_tracks and len(document.images):
        raise DataError(f"{name}: has both images and tracks. Export it as 'CVAT for images 1.1' or 'for video 1.1'.")
    labels = ClassList(tuple(document.meta.labels), "the labels of its task") if document.meta.labels else None
    images = CvatImages.find(file.path, file.is_archive, document, name)
    if document.tags.owners and not document.boxes.owners:
        return _read_classes(document, images, name, classes or labels)
    left_out = LeftOut(name)
    for line in document.tags.lines:
        left_out.add(_TAG, f"line {line}")
    left_out.log()
    entries = _entries(document, images, document.tracked if document.is_video else document.boxes)
    return collect_boxes(entries, name, "line", classes or labels, [images.folder])


def _is_cvat(path: Path) -> bool:
    try:
        with open_binary(path) as file:
            return b"<annotations" in file.read(_HEAD)
    except OSError:
        return False


@contextmanager
def _opened(file: CvatFile, name: str) -> Iterator[IO[bytes]]:
    """The XML. Raises DataError for a file that cannot be read."""
    try:
        with open_binary(file.path) as opened:
            if not file.is_archive:
                yield opened
                return
            with zipfile.ZipFile(opened) as archive:
                if XML not in archive.namelist():
                    remedy = "Give CVAT's export, or the file that names the images of this archive"
                    raise DataError(f"{name}: the archive has no {XML}. {remedy}.")
                if archive.getinfo(XML).file_size > _LONGEST:
                    raise DataError(f"{name}: its {XML} has more than {_LONGEST >> 30} GiB when unpacked.")
                with archive.open(XML) as entry:
                    yield entry
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{name}: cannot be read ({error}).") from error


def _entries(document: CvatDocument, images: CvatImages, found: Found) -> Iterator[Entry]:
    """An entry for each image, then one for each box, in pixels of the image as stored."""
    owners = [images.of_frame(number) for number in found.owners] if document.is_video else found.owners
    turned = _turned(images, set(owners))
    for number, image in enumerate(images.names):
        size = images.size(number)
        if number in turned:
            size = float(turned[number].width), float(turned[number].height)
        yield Entry(None, image, size=size)
    names = list(document.names)
    for owner, label, line, box in zip(owners, found.labels, found.lines, found.boxes(), strict=True):
        corners = turned[owner].stored(box) if owner in turned else box
        yield Entry(line, images.names[owner], names[label], corners)


def _turned(images: CvatImages, numbers: set[int]) -> dict[int, StoredImage]:
    """The images among these that are turned by their EXIF orientation."""
    order = sorted(numbers)
    heads = stored_images(images.folder, (images.names[number] for number in order))
    found = zip(order, heads, strict=True)
    return {number: head for number, head in found if head is not None and head.orientation != 1}


def _read_classes(document: CvatDocument, images: CvatImages, name: str, classes: ClassList | None) -> ImageList:
    ids = ClassIds(classes)
    names, sets = list(document.names), [set[int]() for _ in images.names]
    tags = document.tags
    for owner, label, line in zip(tags.owners, tags.labels, tags.lines, strict=True):
        sets[owner].add(ids.id(names[label], f"{name}, line {line}"))
    order = array("l", sorted(ids.known.values()))
    class_names = ids.finish(order)  # renumbers those that were collected
    numbers = list(order)
    if any(len(one) > 1 for one in sets):
        targets = ClassSetTargets([numbers[label] for label in one] for one in sets)
        return ImageList(name, images.folder, images.names, targets, class_names)
    left_out, tagged = LeftOut(name), PackedStrings()
    for image, one in zip(images.names, sets, strict=True):
        if one:
            tagged.append(image)
        else:
            left_out.add(_UNTAGGED, excerpt(image))
    left_out.log()
    labels = ClassTargets(numbers[label] for one in sets for label in one)
    return ImageList(name, images.folder, tagged, labels, class_names)

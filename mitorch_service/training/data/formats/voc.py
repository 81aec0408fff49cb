"""Pascal VOC: one XML file for each image, ``Annotations/`` beside ``JPEGImages/`` (or ``images/``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_flaws import Corners, Size
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.formats.image_folders import SUFFIXES
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.parallel_readers import Call, results

_FILES_PER_CALL = 200
_IMAGE_FOLDERS = ("JPEGImages", "images", ".")  # in the root; images may also be beside the XML files


@dataclass(frozen=True)
class Voc:
    """The folders and files of a data set."""

    root: Path
    annotations: Path
    split: Path | None = None  # lists the names to read; None: all


def find_voc(path: Path) -> Voc | None:
    """The data set whose root, folder of XML files or list (``ImageSets/*/*.txt``) `path` is, or None."""
    if path.is_file():
        root = path.parent.parent.parent
        listed = path.parent.parent.name == "ImageSets" and (root / "Annotations").is_dir()
        return Voc(root, root / "Annotations", path) if listed else None
    if path.is_dir():
        for folder, root in ((path / "Annotations", path), (path, path if _has_images(path) else path.parent)):
            if next(folder.glob("*.xml"), None) is not None:
                return Voc(root, folder)
    return None


def read_voc(voc: Voc, name: str, classes: ClassList | None) -> ImageList:
    """Reads a detection set; without `classes`, they are the objects' names, sorted.

    VOC counts pixels from 1 and includes the last one, so corners become x_min - 1, y_min - 1, x_max, y_max. Objects
    marked as difficult count like the others. Raises DataError with the XML file for whatever does not fit.
    """
    files = list(_files(voc, name))
    images = _find_images(voc, files)
    return collect_boxes(_entries(files, images), name, "file", classes, [images.folder])


def _entries(files: Sequence[Path], images: _ImageNames) -> Iterator[Entry]:
    """An entry for each image, followed by one for each of its objects."""
    seen: set[str] = set()
    for file, picture in chain.from_iterable(results(_calls(files))):
        image = images.find(picture.image, file.stem)
        if image in seen:
            raise DataError(f"{file}: names {picture.image}, which a file before it names as well. Correct <filename>.")
        seen.add(image)
        yield Entry(str(file), image, size=picture.size)
        for label, corners in picture.objects:
            yield Entry(str(file), image, label, corners)


class _ImageNames:
    """The image files of one folder. Tools omit the extension in ``<filename>``, or keep the name before a renaming."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, image: str, stem: str) -> str:
        """The file with this name, or else with the XML file's stem; the name itself if there is neither."""
        return image if (self.folder / image).is_file() else self._by_stem.get(stem, image)

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        files = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return {file.stem: file.name for file in files if file.suffix.lower() in SUFFIXES}


def _find_images(voc: Voc, files: Sequence[Path]) -> _ImageNames:
    """The images in the first folder that has the one of the first file."""
    folders = [_ImageNames(one) for one in (*(voc.root / name for name in _IMAGE_FOLDERS), voc.annotations)]
    if not files:
        return folders[0]
    first, image = files[0], _read_file(files[0]).image
    return next((one for one in folders if (one.folder / one.find(image, first.stem)).is_file()), folders[0])


class _Picture(NamedTuple):
    image: str
    size: Size | None
    objects: list[tuple[str, Corners]]  # each one's class and box


def _calls(files: Iterable[Path]) -> Iterator[Call[Iterable[tuple[Path, _Picture]]]]:
    """Calls that read the XML files."""
    rest = iter(files)
    while part := list(islice(rest, _FILES_PER_CALL)):
        yield Call(_read_files, (part,))


def _read_files(files: Sequence[Path]) -> list[tuple[Path, _Picture]]:
    return [(file, _read_file(file)) for file in files]


def _read_file(file: Path) -> _Picture:
    root = _parse(file)
    image = _text(root, "filename", file)
    objects = [(_text(found, "name", file), _corners(found, file)) for found in root.iter("object")]
    return _Picture(image, _size(root), objects)


def _has_images(path: Path) -> bool:
    return any((path / one).is_dir() for one in _IMAGE_FOLDERS[:2])


def _files(voc: Voc, name: str) -> Iterator[Path]:
    if voc.split is None:
        yield from sorted(voc.annotations.glob("*.xml"))
        return
    for line in _lines(voc.split, name):
        names = line.split()
        if names and names[1:2] != ["-1"]:  # a list for one class marks images without it by -1
            file = voc.annotations / f"{names[0]}.xml"
            if not file.is_file():
                raise DataError(f"{name}: {names[0]} is listed, but {file} is missing.")
            yield file


def _lines(split: Path, name: str) -> list[str]:
    try:
        return split.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read as UTF-8 text ({error}).") from error


def _parse(file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{file}: cannot be read as XML ({error}).") from error
    if root.tag != "annotation":
        raise DataError(f"{file}: the root is <{root.tag}>, not VOC's <annotation>.")
    return root


def _text(element: ElementTree.Element, tag: str, file: Path) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise DataError(f"{file}: <{element.tag}> has no <{tag}>.")
    return text


def _size(root: ElementTree.Element) -> Size | None:
    try:
        width, height = (float(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _corners(found: ElementTree.Element, file: Path) -> Corners:
    box = found.find("bndbox")
    if box is None:
        raise DataError(f"{file}: an <object> has no <bndbox>.")
    try:
        x_min, y_min, x_max, y_max = (float(_text(box, tag, file)) for tag in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        raise DataError(f"{file}: a corner of a <bndbox> is not a number ({error}).") from error
    return x_min - 1, y_min - 1, x_max, y_max

"""One XML file of Pascal VOC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners, Size
from mitorch_service.training.data.regular_files import open_binary

_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["'][^>]*\?>""")
# The parser reads the encodings with one byte for a character, and UTF-8 and UTF-16. GB 18030 contains the older two.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}


class Annotation(NamedTuple):
    """The content of one file."""

    image: str
    size: Size | None
    objects: list[tuple[str, Corners]]  # each one's class and box


def read_annotation(file: Path) -> Annotation:
    """Reads one file. Raises DataError with the file for whatever does not fit."""
    root = _parse(file)
    image = _text(root, "filename", file)
    objects = [(_text(found, "name", file), _corners(found, file)) for found in root.iter("object")]
    return Annotation(image, _size(root), objects)


def _parse(file: Path) -> ElementTree.Element:
    try:
        with open_binary(file) as opened:
            content = opened.read()
        if b"<!ENTITY" in content.replace(b"\0", b""):  # in UTF-16, too: a few lines of them may stand for gigabytes
            raise ValueError("it declares entities, which VOC's files do not have")
        root = _root(content)
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as XML ({error}).") from error
    if root.tag != "annotation":
        raise DataError(f"{file}: the root is <{root.tag}>, not VOC's <annotation>.")
    return root


def _root(content: bytes) -> ElementTree.Element:
    """Raises ParseError, or ValueError or LookupError for an encoding that does not fit or is not known."""
    try:
        return ElementTree.fromstring(content)  # noqa: S314 (no entities)
    except ValueError:  # an encoding with several bytes for a character
        declared = _DECLARED.match(content)
        if declared is None:
            raise
        encoding = declared[1].decode("ascii").lower()
        return ElementTree.fromstring(content[declared.end() :].decode(_WIDER.get(encoding, encoding)))  # noqa: S314 (no entities)


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

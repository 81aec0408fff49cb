"""The content of a CVAT XML file in flat arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners
from mitorch_service.training.data.boxes.enclosing_boxes import EnclosingBoxes
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.cvat.cvat_meta import CvatMeta
from mitorch_service.training.data.formats.cvat.cvat_shapes import SHAPES, SKELETON, Attributes, enclose, is_plain
from mitorch_service.training.data.formats.xml_stream import Event, XmlError, stream_elements
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.data.left_out import LeftOut

_ATTRIBUTE = "an attribute of a shape or an image"
_UNKNOWN = "an element that is no shape and no tag"
_GAP = "a frame between those that a track lists: CVAT's own export lists them all"


@dataclass
class Found:
    """Boxes, or tags: one after the other."""

    owners: array[int] = field(default_factory=lambda: array("Q"))  # the number of the image, or of the frame
    labels: array[int] = field(default_factory=lambda: array("L"))  # places in `CvatDocument.names`
    lines: array[int] = field(default_factory=lambda: array("Q"))
    corners: array[float] = field(default_factory=lambda: array("d"))  # four for each box

    def add(self, owner: int, label: int, line: int, corners: Corners | tuple[()] = ()) -> None:
        self.owners.append(owner)
        self.labels.append(label)
        self.lines.append(line)
        self.corners.extend(corners)

    def boxes(self) -> Iterator[Corners]:
        sides = iter(self.corners)
        return zip(sides, sides, sides, sides, strict=True)


@dataclass
class CvatDocument:
    """A whole file."""

    meta: CvatMeta = field(default_factory=CvatMeta)
    names: dict[str, int] = field(default_factory=dict)  # of the labels that are used
    images: PackedStrings = field(default_factory=PackedStrings)
    subsets: list[str] = field(default_factory=list)  # of each image of a project; empty for a task
    sizes: array[float] = field(default_factory=lambda: array("f"))  # width and height of each
    boxes: Found = field(default_factory=Found)
    tags: Found = field(default_factory=Found)
    tracked: Found = field(default_factory=Found)  # boxes of tracks; each one's owner is its frame
    has_tracks: bool = False

    @property
    def is_video(self) -> bool:
        """Whether it names no images, but frames."""
        return not len(self.images) and (self.has_tracks or bool(self.meta.numbers))


def read_document(file: IO[bytes], name: str) -> CvatDocument:
    """Reads a file as "CVAT for images 1.1" or "CVAT for video 1.1" has it. Logs what is not kept. Raises DataError
    with the line for whatever does not fit."""
    reader = _Reader(name)
    try:
        for event in stream_elements(file):
            reader.take(event)
    except XmlError as error:
        raise DataError(f"{name}: cannot be read as XML ({error}).") from error
    reader.enclosing.log()
    reader.left_out.log()
    return reader.document


class _Reader:
    """Takes the events of a file, one after the other."""

    def __init__(self, name: str) -> None:
        self.document = CvatDocument()
        self.enclosing = EnclosingBoxes(name)
        self.left_out = LeftOut(name)
        self._name = name
        self._open: list[str] = []  # tags
        self._image = 0  # number of the open one
        self._track: Attributes = {}  # the open one
        self._last: int | None = None  # frame of its last shape; None: before the first, or outside since
        self._skeleton: list[tuple[float, float]] = []  # points of the open one
        self._attributes: Attributes = {}  # its own

    def take(self, event: Event) -> None:
        if event.attributes is not None:
            if not self._open and event.tag != "annotations":
                remedy = "Give Pascal VOC's files by their folder" if event.tag == "annotation" else "Check the path"
                raise self._error(event.line, f"the root is <{event.tag}>, not CVAT's <annotations>. {remedy}.")
            self._open.append(event.tag)
            self._start(event, event.attributes)
        else:
            self._end(event)
            self._open.pop()

    def _start(self, event: Event, attributes: Attributes) -> None:
        depth, parent = len(self._open), self._open[-2] if len(self._open) > 1 else ""
        if depth == 2 and event.tag == "image":
            self._start_image(event, attributes)
        elif depth == 2 and event.tag == "track":
            self.document.has_tracks = True
            self._track, self._last = attributes, None
        elif depth == 3 and parent in {"image", "track"}:
            self._start_shape(event, attributes)
        elif parent == SKELETON and event.tag == "points":
            self._add_points(event, attributes)
        elif event.tag == "attribute" and "meta" not in self._open:
            self.left_out.add(_ATTRIBUTE, f"line {event.line}, {excerpt(attributes.get('name', ''))}")

    def _end(self, event: Event) -> None:
        path = self._open
        if event.tag == SKELETON and len(path) == 3:
            self._end_skeleton(event)
        elif path[1:2] == ["meta"] and len(path) > 2:
            self.document.meta.take(path, event.text.strip())

    def _start_image(self, event: Event, attributes: Attributes) -> None:
        document = self.document
        name = attributes.get("name", "")
        if not name:
            raise self._error(event.line, "an <image> has no name.")
        self._image = len(document.images)
        document.images.append(name)
        if (subset := attributes.get("subset")) is not None or document.subsets:
            document.subsets.extend([""] * (self._image - len(document.subsets)))
            document.subsets.append(subset or "")
        document.sizes.extend(self._side(event.line, attributes, side) for side in ("width", "height"))

    def _side(self, line: int, attributes: Attributes, side: str) -> float:
        try:
            value = float(attributes.get(side) or 0)
        except ValueError as error:
            raise self._error(line, f"the {side} of an <image> is not a number ({error}).") from error
        return value if 0 < value < 1e9 else 0

    def _start_shape(self, event: Event, attributes: Attributes) -> None:
        if event.tag == "tag" and self._open[1] == "image":
            self.document.tags.add(self._image, self._class(event, attributes), event.line)
        elif event.tag == SKELETON:
            self._skeleton, self._attributes = [], attributes
        elif event.tag in SHAPES:
            corners, kind = SHAPES[event.tag]
            try:
                box = corners(attributes)
                if not is_plain(event.tag, attributes):
                    self.enclosing.add(kind)
            except (KeyError, ValueError) as error:
                problem = f"a <{event.tag}> does not have its numbers ({type(error).__name__}: {error})."
                raise self._error(event.line, problem) from error
            self._add(event, attributes, box)
        elif event.tag != "attribute":
            self.left_out.add(_UNKNOWN, f"line {event.line}, {excerpt(event.tag)}")
        else:
            self.left_out.add(_ATTRIBUTE, f"line {event.line}, {excerpt(attributes.get('name', ''))}")

    def _add_points(self, event: Event, attributes: Attributes) -> None:
        if attributes.get("outside") == "1":
            return
        try:
            points = [point.split(",") for point in attributes["points"].split(";")]
            self._skeleton.extend((float(x), float(y)) for x, y in points)
        except (KeyError, ValueError) as error:
            raise self._error(event.line, f"<points> are not numbers ({error}).") from error

    def _end_skeleton(self, event: Event) -> None:
        if self._skeleton:
            self.enclosing.add("skeletons")
            self._add(event, self._attributes, enclose(self._skeleton))
        else:  # all of its points are outside
            self._last = None

    def _add(self, event: Event, attributes: Attributes, box: Corners) -> None:
        """Adds the box of a shape to its image, or to its frame unless it is outside there."""
        if self._open[1] == "image":
            self.document.boxes.add(self._image, self._class(event, attributes), event.line, box)
            return
        frame = self._frame(event, attributes)
        label = self._class(event, self._track)
        step = self.document.meta.step
        if self._last is not None and frame - self._last > step:
            self.left_out.add(_GAP, f"line {event.line}, frame {self._last + step}")
        if attributes.get("outside") == "1":
            self._last = None
            return
        self._last = frame
        self.document.tracked.add(frame, label, event.line, box)

    def _frame(self, event: Event, attributes: Attributes) -> int:
        text = attributes.get("frame", "")
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise self._error(event.line, f"{excerpt(text)} is not the number of a frame.")
        return int(text)

    def _class(self, event: Event, attributes: Attributes) -> int:
        label = attributes.get("label", "").strip()
        if not label:
            raise self._error(event.line, f"a <{event.tag}> has no label.")
        return self.document.names.setdefault(label, len(self.document.names))

    def _error(self, line: int, problem: str) -> DataError:
        return DataError(f"{self._name}, line {line}: {problem}")

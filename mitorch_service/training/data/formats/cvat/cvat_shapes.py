"""The shapes that CVAT draws, and the box around each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from mitorch_service.training.data.boxes.box_flaws import Corners

Attributes = Mapping[str, str]


def _box(shape: Attributes) -> Corners:
    x_min, y_min, x_max, y_max = (float(shape[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
    if not (angle := math.radians(float(shape.get("rotation", 0)))):
        return x_min, y_min, x_max, y_max
    width, height = (x_max - x_min) / 2, (y_max - y_min) / 2
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    return _around((x_min + x_max) / 2, (y_min + y_max) / 2, width * cos + height * sin, width * sin + height * cos)


def _ellipse(shape: Attributes) -> Corners:
    x, y, x_radius, y_radius = (float(shape[part]) for part in ("cx", "cy", "rx", "ry"))
    angle = math.radians(float(shape.get("rotation", 0)))
    cos, sin = math.cos(angle), math.sin(angle)
    return _around(x, y, math.hypot(x_radius * cos, y_radius * sin), math.hypot(x_radius * sin, y_radius * cos))


def _mask(shape: Attributes) -> Corners:
    left, top, width, height = (float(shape[part]) for part in ("left", "top", "width", "height"))
    return left, top, left + width, top + height


def _points(shape: Attributes) -> Corners:
    return enclose(map(float, point.split(",")) for point in shape["points"].split(";"))


def _cuboid(shape: Attributes) -> Corners:
    """Eight points, each named as xtl1 and ytl1: x or y; top or bottom; left or right; 1 or 2."""
    corners = [f"{vertical}{side}{face}" for vertical in "tb" for side in "lr" for face in "12"]
    return enclose((float(shape[f"x{one}"]), float(shape[f"y{one}"])) for one in corners)


def _around(x: float, y: float, half_width: float, half_height: float) -> Corners:
    return x - half_width, y - half_height, x + half_width, y + half_height


def enclose(points: Iterable[Iterable[float]]) -> Corners:
    """The box around points (x, y). Raises ValueError for none, or for points of other than two numbers."""
    xs, ys = zip(*((x, y) for x, y in points), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


BOX = "box"
# By element: how to find the box around it; raises KeyError or ValueError. And what messages call such shapes.
SHAPES: dict[str, tuple[Callable[[Attributes], Corners], str]] = {
    BOX: (_box, "rotated boxes"),
    "polygon": (_points, "polygons"),
    "polyline": (_points, "polylines"),
    "points": (_points, "groups of points"),
    "ellipse": (_ellipse, "ellipses"),
    "mask": (_mask, "masks"),
    "cuboid": (_cuboid, "cuboids"),
}
SKELETON = "skeleton"  # has <points> in it


def is_plain(tag: str, shape: Attributes) -> bool:
    """Whether the shape is a box that is not rotated."""
    return tag == BOX and not float(shape.get("rotation", 0))

"""Draws predictions into copies of the images."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.places import place_within
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.data.zip_index import ZipFiles
from mitorch_service.training.plots.canvas import COLOURS, drawable, shorten

_LEAST, _MOST = 480, 1600  # pixels of the longer side of what is drawn
_LONGEST_NAME = 24  # characters of a class
_LABELS_SHOWN = 5
_NOTHING = "nothing found"


class _Style(NamedTuple):
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    line: int  # pixels: of a box's edge
    height: int  # of a line of text


def drawn(images: Iterable[AnnotatedImage], classes: Sequence[str], folder: Path) -> Iterator[AnnotatedImage]:
    """Yields the images, and writes for each a JPEG into `folder`, below it as the image's own path says. Raises
    OSError if it cannot be written."""
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(classes)}
    archives = ZipFiles()
    names = _Names()
    for image in images:
        picture = read_image(ImageLocation.parse(image.path, Path()), archives).image
        target = folder / names.of(image.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draw(picture, image, colours).save(target, "JPEG", quality=90)
        yield image


def draw(picture: Image.Image, image: AnnotatedImage, colours: dict[str, str]) -> Image.Image:
    """Returns the picture with its boxes, or its labels on a bar above it, large enough to be read."""
    longer = max(picture.size)
    scale = min(max(longer, _LEAST), _MOST) / longer
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    style = _style(max(size))
    if image.boxes:
        ways = size[0] / image.width, size[1] / image.height
        pencil = ImageDraw.Draw(canvas)
        for box in reversed(image.boxes):  # the surest on top
            corners = (box.left * ways[0], box.top * ways[1], box.right * ways[0], box.bottom * ways[1])
            _draw_box(pencil, size, corners, _text(box.class_name, box.score), colours[box.class_name], style)
        return canvas
    lines = [(_text(label.class_name, label.score), colours[label.class_name]) for label in image.labels]
    return _with_bar(canvas, lines[:_LABELS_SHOWN] or [(_NOTHING, "#555555")], style)


def _draw_box(
    pencil: ImageDraw.ImageDraw,
    size: tuple[int, int],
    corners: tuple[float, float, float, float],
    text: str,
    colour: str,
    style: _Style,
) -> None:
    """Draws an edge, and its text above it; inside where the picture has no room."""
    left, top, right, bottom = corners
    pencil.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=style.line)
    width = pencil.textlength(text, font=style.font) + 6
    x = min(max(left, 0), max(0, size[0] - width))
    y = top - style.height if top >= style.height else top
    pencil.rectangle((x, y, x + width, y + style.height), fill=colour)
    pencil.text((x + 3, y + style.height / 2), text, fill="white", font=style.font, anchor="lm")


def _with_bar(picture: Image.Image, lines: list[tuple[str, str]], style: _Style) -> Image.Image:
    height = style.height * len(lines)
    canvas = Image.new("RGB", (max(picture.width, 200), picture.height + height), "white")
    canvas.paste(picture, (0, height))
    pencil = ImageDraw.Draw(canvas)
    for place, (text, colour) in enumerate(lines):
        pencil.text((4, (place + 0.5) * style.height), text, fill=colour, font=style.font, anchor="lm")
    return canvas


def _text(name: str, score: float | None) -> str:
    return shorten(name, _LONGEST_NAME) + ("" if score is None else f" {score:.2f}")


@cache
def _style(longer: int) -> _Style:
    size = max(14, longer // 45)
    return _Style(_font(size), max(2, longer // 300), round(size * 1.4))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns matplotlib's font, which has the letters of most languages, without importing it."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.exists():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


class _Names:
    """Names of pictures, none twice."""

    def __init__(self) -> None:
        self._taken: set[Path] = set()

    def of(self, path: str) -> Path:
        """Returns the path below the folder: ``archive.zip@a/b.png`` gives ``archive.zip/a/b.jpg``."""
        whole = Path(*[drawable(part) for part in place_within(path).split("/")] or ["image"])
        name, number = whole.with_suffix(".jpg"), 1
        while name in self._taken:
            number += 1
            name = whole.with_name(f"{whole.stem}-{number}.jpg")
        self._taken.add(name)
        return name

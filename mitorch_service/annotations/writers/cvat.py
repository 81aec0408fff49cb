"""The XML of "CVAT for images 1.1": boxes, and classes of whole images as tags.

The score of a prediction is an attribute ``score``, which CVAT passes over where the label has none of this name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.annotations.writers.new_output import new_file
from mitorch_service.annotations.writers.numbers import decimal


def write_cvat(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes one file; images are numbered from 0."""
    with new_file(out) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write("  <meta>\n    <task>\n      <labels>\n")
        file.writelines(f"        <label><name>{escape(name)}</name><attributes/></label>\n" for name in classes)
        file.write("      </labels>\n    </task>\n  </meta>\n")
        for number, image in enumerate(images):
            size = f'width="{image.width}" height="{image.height}"'
            file.write(f'  <image id="{number}" name={quoteattr(image.path)} {size}>\n')
            file.writelines(map(_box, image.boxes))
            file.writelines(map(_tag, image.labels))
            file.write("  </image>\n")
        file.write("</annotations>\n")


def _box(box: Box) -> str:
    sides = zip(("xtl", "ytl", "xbr", "ybr"), (box.left, box.top, box.right, box.bottom), strict=True)
    corners = " ".join(f'{side}="{decimal(value)}"' for side, value in sides)
    return f'    <box {_label(box)} occluded="0" {corners} z_order="0">{_score(box)}</box>\n'


def _tag(label: Label) -> str:
    return f"    <tag {_label(label)}>{_score(label)}</tag>\n"


def _label(one: Box | Label) -> str:
    return f'label={quoteattr(one.class_name)} source="{"manual" if one.score is None else "auto"}"'


def _score(one: Box | Label) -> str:
    return "" if one.score is None else f'<attribute name="score">{decimal(one.score, 6)}</attribute>'

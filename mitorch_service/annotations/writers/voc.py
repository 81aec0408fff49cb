"""Pascal VOC: an XML file for each image in ``Annotations/``, images belong into ``JPEGImages/``.

VOC counts pixels from 1 and includes the last one: corners are left + 1, top + 1, right, bottom. The score of a
prediction is in ``<score>``, which VOC's own readers pass over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.boxes_only import refuse_labels
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.numbers import decimal
from mitorch_service.annotations.writers.places import Places, is_entry, place_within, without_extension

IMAGES = "JPEGImages"
LIST = "default.txt"


def write_voc(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder, with a list of all images in ``ImageSets/Main``. ``labels.txt`` names the classes in their
    order, and for CVAT and Datumaro ``labelmap.txt``, unless a name has a colon, which parts its columns."""
    with new_folder(out) as folder, _new_list(folder / "ImageSets" / "Main") as listed:
        (folder / "Annotations").mkdir()
        (folder / "labels.txt").write_text(class_list_text(classes), encoding="utf-8", newline="\n")
        if not any(":" in name or name.startswith("#") for name in classes):
            lines = ["# label:color_rgb:parts:actions\n", *(f"{name}:::\n" for name in classes)]
            (folder / "labelmap.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
        places = Places(folder / "Annotations")
        for image in images:
            refuse_labels(image, "VOC")
            place = _place(image.path, places)
            places.write(place, image, _document(image))
            name = place.removesuffix(".xml")
            listed.write(f'"{name}"\n' if any(map(str.isspace, name)) else f"{name}\n")


def _new_list(folder: Path) -> TextIO:
    folder.mkdir(parents=True)
    return (folder / LIST).open("x", encoding="utf-8", newline="\n")


def _place(path: str, places: Places) -> str:
    """The XML file's: in a folder of the same name as the image's. An entry of an archive is named by its whole path,
    from the folder of images on."""
    place = place_within(path)
    if is_entry(path):
        place = place.replace("/", "_")
    stem = f"{without_extension(place)}.xml"
    return stem if places.is_free(stem) else f"{place}.xml"  # a.jpg and a.png


def _document(image: AnnotatedImage) -> str:
    name = image.path if is_entry(image.path) else image.path.rpartition("/")[2]
    size = f"<width>{image.width}</width><height>{image.height}</height><depth>3</depth>"
    lines = [
        "<annotation>",
        f"  <folder>{IMAGES}</folder>",
        f"  <filename>{escape(name)}</filename>",
        f"  <path>{escape(image.path)}</path>",
        f"  <size>{size}</size>",
        "  <segmented>0</segmented>",
        *map(_object, image.boxes),
        "</annotation>",
    ]
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(lines) + "\n"


def _object(box: Box) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (box.left + 1, box.top + 1, box.right, box.bottom), strict=True)
    corners = "".join(f"<{tag}>{decimal(side)}</{tag}>" for tag, side in sides)
    score = "" if box.score is None else f"<score>{decimal(box.score, 6)}</score>"
    flags = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    return f"  <object><name>{escape(box.class_name)}</name>{flags}{score}<bndbox>{corners}</bndbox></object>"

"""Data sets in formats other than our own text format, told apart by what they look like."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.coco import read_coco
from mitorch_service.training.data.formats.csv import read_csv
from mitorch_service.training.data.formats.folder import has_class_folders, read_class_folders
from mitorch_service.training.data.formats.voc import find_voc, read_voc
from mitorch_service.training.data.image_list import ImageList


def read_other_format(path: Path, name: str, classes: ClassList | None) -> ImageList | None:
    """The data set at `path`, or None for a file that is to be read as our text format.

    ``.json``: COCO. ``.csv``: boxes, or a label table (`read_csv`). A folder with ``Annotations/*.xml`` (or the XML
    files themselves), or a list in its ``ImageSets``: Pascal VOC. A folder of folders with images: one class each.
    Raises DataError for a folder that is neither, and for a file that is not what its name says.
    """
    if path.suffix.lower() == ".json":
        return read_coco(path, name, classes)
    if path.suffix.lower() == ".csv":
        return read_csv(path, name, classes)
    if (voc := find_voc(path)) is not None:
        return read_voc(voc, name, classes)
    if not path.is_dir():
        return None
    if has_class_folders(path):
        return read_class_folders(path, name, classes)
    raise DataError(
        f"{name}: the folder holds no data set. Looked for Annotations/*.xml or *.xml (Pascal VOC), and for folders "
        "with images, one for each class. Text files, COCO's .json and .csv are given by the file's own path."
    )

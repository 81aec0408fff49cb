"""Detects the format of a data set and reads it."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.training.data.class_names import ClassList, read_class_list
from mitorch_service.training.data.formats.class_folders import read_class_folders
from mitorch_service.training.data.formats.coco import read_coco
from mitorch_service.training.data.formats.csv import read_csv
from mitorch_service.training.data.formats.cvat.cvat import find_cvat, read_cvat
from mitorch_service.training.data.formats.label_csv import find_columns, read_label_csv
from mitorch_service.training.data.formats.text import read_text
from mitorch_service.training.data.formats.voc.voc import find_voc, read_voc
from mitorch_service.training.data.formats.yolo.yolo import find_yolo, read_yolo
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.regular_files import is_folder


def read_image_list(
    path: Path, name: str | None = None, classes: ClassList | None = None, split: str = "train"
) -> ImageList:
    """Reads the data set at `path`, without looking for the images it names (`check_files` does).

    ``.json``: COCO. ``.csv``: boxes, a label table, or a class for each image. ``.xml``, ``.zip``, or a folder with
    CVAT's ``annotations.xml``: CVAT. A folder with ``Annotations/*.xml`` or the XML files themselves, or a list in its
    ``ImageSets``: Pascal VOC. ``.yaml``, ``.data``, or a folder with ``data.yaml`` or of images with labels beside it:
    YOLO. Another folder: one folder of images for each class. Any other file: the text format. `name` is what messages
    call it (default: the path). `classes` are those of the training split; a ``labels.txt`` beside `path` takes
    precedence. `split` is the one to read of a file that describes several (YOLO's). Raises DataError, with the line,
    for whatever does not fit.
    """
    name = name or str(path)
    classes = read_class_list(path.parent / "labels.txt") or classes
    if path.suffix.lower() == ".json":
        return read_coco(path, name, classes)
    if path.suffix.lower() == ".csv":
        columns = find_columns(path, name)
        return read_label_csv(path, name, columns, classes) if columns else read_csv(path, name, classes)
    if (cvat := find_cvat(path)) is not None:
        return read_cvat(cvat, name, classes)
    if (voc := find_voc(path)) is not None:
        return read_voc(voc, name, classes)
    if (yolo := find_yolo(path)) is not None:
        return read_yolo(yolo, name, classes, split)
    if is_folder(path):
        return read_class_folders(path, name, classes)
    return read_text(path, name, classes)

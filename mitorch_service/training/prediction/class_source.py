"""Reads the names of the classes of weights that do not know them."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import read_class_list
from mitorch_service.training.data.formats.registry import read_image_list

_LABELS = "labels.txt"


def read_class_names(path: Path) -> tuple[str, ...]:
    """Reads the classes of a data set of any format, or a text file with a name on each line, which is what a ``.txt``
    without a ``labels.txt`` beside it is. Raises DataError, also for a data set that only numbers its classes."""
    names_alone = path.name == _LABELS or not (path.parent / _LABELS).exists()
    if path.suffix.lower() == ".txt" and names_alone:
        found = read_class_list(path)
        if found is None:
            raise DataError(f"{path}: there is no such file. Check the path.")
        return found.names
    data = read_image_list(path)
    if not data.classes_named:
        raise DataError(f"{path}: numbers its classes and does not name them. Give a file with a name on each line.")
    return data.classes

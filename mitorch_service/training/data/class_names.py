"""The classes of a data set: given, or collected while its files are read."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.regular_files import open_text


@dataclass(frozen=True)
class ClassList:
    """The names of the classes in the order of their ids, and their source."""

    names: tuple[str, ...]
    source: str  # for messages: labels.txt, or the training split


class ClassIds:
    """Ids for the names in a file: those of the given list, or new ones in order of appearance."""

    def __init__(self, given: ClassList | None) -> None:
        self._given = given
        self.known = {name: number for number, name in enumerate(given.names)} if given else {}

    def id(self, name: str, where: str) -> int:
        """The class's id. Raises DataError, starting with `where`, for a name that is not in the given list."""
        if name not in self.known and not name.isascii():
            check_text(name, where)
        if name not in self.known and self._given is not None:
            known = ", ".join(self._given.names[:5]) + (", …" if len(self._given.names) > 5 else "")
            raise DataError(
                f"{where}: class {excerpt(name)} is not in {self._given.source} ({known}). "
                "Add training images of it, or remove it here."
            )
        return self.known.setdefault(name, len(self.known))

    def finish(self, labels: array[int]) -> tuple[str, ...]:
        """The names in the order of the ids. Collected names are sorted now, and `labels` renumbered in place."""
        if self._given is not None:
            return self._given.names
        names = tuple(sorted(self.known))
        places = {name: place for place, name in enumerate(names)}
        new = [places[name] for name in self.known]
        for index, label in enumerate(labels):
            labels[index] = new[label]
        return names


def check_text(name: str, where: str) -> None:
    """Raises DataError for the name of a class that no document can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the class {excerpt(name)} has a name that is not UTF-8. Rename it.") from None


def read_class_list(path: Path) -> ClassList | None:
    """Reads a ``labels.txt``, one name per line; None if there is no such file. Raises DataError if it is not UTF-8,
    has an empty line, or a name twice."""
    try:
        with open_text(path) as file:
            names = [name.strip() for name in file.read().rstrip().split("\n")]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    if names == [""]:
        raise DataError(f"{path}: is empty. Name one class per line, or remove the file.")
    lines: dict[str, int] = {}
    for number, class_name in enumerate(names, 1):
        if not class_name:
            raise DataError(f"{path}, line {number}: is empty. Each line names one class, in the order of the ids.")
        first = lines.setdefault(class_name, number)
        if first != number:
            raise DataError(
                f"{path}, line {number}: {excerpt(class_name)} is the name of line {first}, too. Rename one."
            )
    return ClassList(tuple(names), path.name)

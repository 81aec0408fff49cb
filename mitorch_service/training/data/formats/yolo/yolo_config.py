"""The file that describes a YOLO data set: ``data.yaml`` of Ultralytics, or ``obj.data`` of Darknet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.models.config.yaml_text import load_yaml
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.regular_files import is_file, is_folder, open_text

YAML = (".yaml", ".yml")
DARKNET = ".data"
NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")  # of the file in its folder
_MOST_BYTES = 1_000_000
_SPLITS = {"val": ("val", "valid", "validation"), "train": ("train",), "test": ("test",)}  # Darknet writes valid


@dataclass(frozen=True)
class YoloConfig:
    """The content of the file."""

    root: Path  # the folder that all paths start from
    sources: dict[str, tuple[str, ...]]  # by split: folders of images, or lists of them
    classes: tuple[str, ...]
    named: bool = True  # False: the classes' names were made up from their number
    keypoints: bool = False  # lines have points after the box

    def of_split(self, split: str, name: str) -> tuple[str, ...]:
        """The folders or lists of a split. Raises DataError if it has none."""
        if split not in self.sources:
            there = ", ".join(self.sources) or "no split"
            raise DataError(f"{name}: has no {split!r}; it has {there}. Add it, or give the folder of images itself.")
        return self.sources[split]


def read_yolo_config(path: Path, name: str) -> YoloConfig:
    """Reads the file. Raises DataError for whatever does not fit."""
    try:
        with open_text(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read as UTF-8 text ({error}).") from error
    if len(text) > _MOST_BYTES:
        raise DataError(f"{name}: has more than {_MOST_BYTES // 1_000_000} MB, and is no description of a data set.")
    return _darknet(path, text, name) if path.suffix.lower() == DARKNET else _ultralytics(path, text, name)


def find_config(folder: Path) -> Path | None:
    """The file in this folder or the two above it."""
    above = (folder, *folder.absolute().parents[:2])
    return next((one / name for one in above for name in NAMES if is_file(one / name)), None)


def _ultralytics(path: Path, text: str, name: str) -> YoloConfig:
    try:
        value = load_yaml(name, text)
    except InvalidInput as error:
        raise DataError(f"{name}: {error.problems[0]}.") from error
    if not isinstance(value, dict) or not {"names", "nc", "train", "val"} & set(value):
        raise DataError(f"{name}: is not the data.yaml of a YOLO data set: it has no names, train or val.")
    sources = {split: found for split, keys in _SPLITS.items() if (found := _sources(value, keys, name))}
    root = path.parent
    if (stated := value.get("path")) is not None:
        if not isinstance(stated, str):
            raise DataError(f"{name}: path is {excerpt(stated)}, not the name of a folder.")
        stated_root = path.parent / Path(stated)
        root = stated_root if is_folder(stated_root) else path.parent  # often that of the machine which wrote it
    names, named = _class_names(value, name)
    return YoloConfig(root, dict(sorted(sources.items())), names, named, keypoints="kpt_shape" in value)


def _sources(value: dict[object, object], keys: Sequence[str], name: str) -> tuple[str, ...]:
    found = next((value[key] for key in keys if value.get(key)), None)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    for one in listed:
        if not isinstance(one, str) or not one:
            raise DataError(f"{name}: {keys[0]} is {excerpt(found)}, not a folder, a text file, or a list of them.")
    return tuple(listed)


def _class_names(value: dict[object, object], name: str) -> tuple[tuple[str, ...], bool]:
    """The names in the order of their ids, and whether there are any."""
    names = value.get("names")
    if names is None and isinstance(count := value.get("nc"), int) and 0 < count <= 100_000:
        return tuple(f"class_{number}" for number in range(count)), False
    if isinstance(names, dict):
        try:
            by_id = {int(key): one for key, one in names.items()}
        except (TypeError, ValueError):
            by_id = {}
        if sorted(by_id) != list(range(len(names))):
            raise DataError(f"{name}: the keys of names are not the ids 0, 1, 2, … Number the classes from 0.")
        names = [by_id[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(one, str | int | float) for one in names):
        raise DataError(f"{name}: names is {excerpt(names)}, not a list of the classes' names, or ids with names.")
    return _distinct([str(one).strip() for one in names], name), True


def _darknet(path: Path, text: str, name: str) -> YoloConfig:
    """Lines ``key = value``; paths are often those of the folder in which Darknet was started."""
    values = {key.strip(): value.strip() for key, equals, value in (one.partition("=") for one in text.splitlines())}
    if not values.get("names"):
        raise DataError(f"{name}: has no line 'names = FILE', as Darknet's .data files have.")
    root = path.parent
    names_file = find_listed(root, values["names"])
    try:
        with open_text(names_file) as file:
            names = [line.strip() for line in file.read().rstrip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: its names, {values['names']}, cannot be read as UTF-8 text ({error}).") from error
    sources = {split: (values[key],) for split, keys in _SPLITS.items() for key in keys if values.get(key)}
    return YoloConfig(root, dict(sorted(sources.items())), _distinct(names, name))


def find_listed(root: Path, stated: str) -> Path:
    """The file or folder that is called so from the root: also without the first folder of its name, with which
    Darknet's and Roboflow's files often begin; as stated if there is none."""
    beyond = stated.removeprefix("./").partition("/")[2]
    tried = [root / stated, *([root / beyond] if beyond else [])]
    return next((one for one in tried if is_file(one) or is_folder(one)), tried[0])


def _distinct(names: Sequence[str], name: str) -> tuple[str, ...]:
    if not names or not all(names):
        raise DataError(f"{name}: a class has no name. Name each.")
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise DataError(f"{name}: two classes have the name {excerpt(twice)}. Rename one.")
    return tuple(names)

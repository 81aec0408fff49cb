"""The arguments of a training script that takes pairs of sets: ``--train_sets L0 I0 L1 I1 … --test_sets … --NAME
VALUE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.backends.optional import DataAsset
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.azureml_datasets.dataset_import import Pair
from mitorch_service.interop.azureml_datasets.script_start import END
from mitorch_service.models.dataset import DatasetRef

_LABELS = ("tabular", "mltable", "uri_file")
_IMAGES = ("file", "uri_folder")
_LAUNCHER = "mitorch_service.interop.azureml_datasets.script_start"


@dataclass(frozen=True)
class RunArguments:
    """Two tuples of sets each, in either order, and the script's parameters."""

    train_sets: tuple[tuple[DatasetRef, DatasetRef], ...]
    test_sets: tuple[tuple[DatasetRef, DatasetRef], ...]
    params: Mapping[str, object]


def create_args(
    train_sets: Sequence[object] | object, test_sets: Sequence[object] | object = (), params: object = None
) -> RunArguments:
    """Takes pairs of an image set and a label set, in either order, each NAME, NAME:VERSION, or an object of Azure ML's
    SDK with a name and a version. Raises InvalidInput."""
    if params is not None and not isinstance(params, Mapping):
        raise InvalidInput("params", [Problem("", "must be a dict of names and values")])
    train = _pairs("train_sets", train_sets)
    if not train:
        raise InvalidInput("train_sets", [Problem("", "names no set: write [(images, labels)]")])
    return RunArguments(train, _pairs("test_sets", test_sets), dict(params or {}))


def ordered(first: DataAsset, second: DataAsset) -> tuple[DataAsset, DataAsset]:
    """Returns the image set and the label set, told apart by their kinds. Raises InvalidInput."""
    if first.kind in _IMAGES and second.kind in _LABELS:
        return first, second
    if first.kind in _LABELS and second.kind in _IMAGES:
        return second, first
    kinds = f"{first.name} is of kind {first.kind} and {second.name} of kind {second.kind}"
    remedy = f"one must hold images ({', '.join(_IMAGES)}) and one labels ({', '.join(_LABELS)})"
    raise InvalidInput("train_sets, test_sets", [Problem("", f"{kinds}: {remedy}")])


def pair_of(images: DataAsset, labels: DataAsset) -> Pair:
    """The pair at the versions that were found."""
    return Pair(*(DatasetRef(name=one.name, version=int(one.version)) for one in (images, labels)))


def launch_command(
    script: str, first_table: str, tables: Mapping[str, Sequence[str]], datastore: str, python: str = "python"
) -> list[str]:
    """The command of a script config. `tables`: the label tables by the option that names them, as paths in the
    container; the run finds the container's folder by `first_table`, the text file of the data set's train split."""
    words = [python, "-m", _LAUNCHER, script, "{train}", first_table, datastore]
    for option, paths in tables.items():
        words += [f"--{option}", *paths] if paths else []
    return [*words, END, "{parameters}"]


def _pairs(argument: str, sets: object) -> tuple[tuple[DatasetRef, DatasetRef], ...]:
    if isinstance(sets, tuple) and len(sets) == 2 and not any(isinstance(one, list | tuple) for one in sets):
        sets = [sets]  # one pair, without a list around it
    if not isinstance(sets, list | tuple):
        raise InvalidInput(argument, [Problem("", "must be a list of pairs: [(images, labels)]")])
    pairs = []
    for number, pair in enumerate(sets):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InvalidInput(argument, [Problem(f"[{number}]", "must be a pair: (images, labels)")])
        first, second = (_ref(f"{argument}[{number}]", one) for one in pair)
        pairs.append((first, second))
    return tuple(pairs)


def _ref(argument: str, one: object) -> DatasetRef:
    try:
        if isinstance(one, str):
            return DatasetRef.parse(one)
        name, version = getattr(one, "name", None), getattr(one, "version", None)
        if isinstance(name, str) and name:
            return DatasetRef.parse(name if version is None else f"{name}:{version}")
        raise ValueError("must be NAME, NAME:VERSION or a registered data set of Azure ML's SDK")
    except ValueError as error:
        raise InvalidInput(argument, [Problem(repr(one)[:60], str(error))]) from error

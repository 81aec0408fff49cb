"""Compares trainings: what differs in their configs, their metrics, their curves."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.insights.training.training import read_curve
from mitorch_service.models.config.script import CodeRecord, ScriptConfig, check_config, masked_config
from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.objectives import usual_direction
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store


@dataclass(frozen=True)
class Metric:
    """A metric of each training; None where it was not measured."""

    values: Sequence[float | None]
    best: frozenset[int]  # which of them are best; empty if there is nothing to compare


@dataclass(frozen=True)
class Comparison:
    """Several trainings side by side."""

    trainings: Sequence[Training]
    differences: Mapping[str, Sequence[object]]  # dotted path in the config -> the value of each, None: it has none
    metrics: Mapping[str, Metric]  # of the evaluation, or of the last epoch reported
    curves: Sequence[Sequence[EpochResult]]

    def shown_measures(self) -> list[str]:
        """The measures whose curves tell most: the validation loss, and the objective or the first metric."""
        objectives = [name for one in self.trainings if one.trial for name in one.trial.all_objectives()]
        metrics = [name for curve in self.curves for result in curve for name in result.metrics]
        wanted = ["val_loss", *objectives, *metrics[:1]]
        return [name for name in dict.fromkeys(wanted) if self._is_measured(name)][:2]

    def _is_measured(self, name: str) -> bool:
        return any(measure(result, name) is not None for curve in self.curves for result in curve)


def read_comparison(store: Store, ids: Sequence[str]) -> Comparison:
    """Reads the trainings with these ids, and their curves. Raises NotFound, BrokenDocument."""
    trainings = [store.trainings.get_training(id) for id in ids]
    return compare(trainings, [list(read_curve(store, id)) for id in ids])


def compare(trainings: Sequence[Training], curves: Sequence[Sequence[EpochResult]] = ()) -> Comparison:
    """Compares trainings that have been read."""
    return Comparison(
        trainings=trainings,
        differences=_differences([_settings(training) for training in trainings]),
        metrics=_metrics([_measured(training) for training in trainings]),
        curves=curves,
    )


def repeats(trainings: Sequence[Training]) -> list[list[int]]:
    """The groups of two or more trainings that differ by their seed only, as indices."""
    groups: dict[str, list[int]] = {}
    for index, training in enumerate(trainings):
        settings = {path: value for path, value in _settings(training).items() if path.rpartition(".")[2] != "seed"}
        groups.setdefault(json.dumps(settings, sort_keys=True, default=str), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def measure(result: EpochResult, name: str) -> float | None:
    """One measure of an epoch, a loss or a metric."""
    return {"train_loss": result.train_loss, "val_loss": result.val_loss, **result.part_losses(), **result.metrics}.get(
        name
    )


def _settings(training: Training) -> dict[str, object]:
    """The data set and the config, flat and whole: however a value is written, and also where it is left out."""
    written = masked_config(training.config)
    config, _ = check_config(written)
    settings = dict(written if config is None else config.model_dump(mode="json"))
    if isinstance(config, ScriptConfig):
        script = settings["script"]
        settings["script"] = {**script, "command": shlex.join(config.script.command), "code": _code(config.script.code)}
    return {**_flat(settings), "dataset": str(training.dataset)}


def _code(record: CodeRecord | None) -> dict[str, object] | None:
    """The code that was stored, with its environment: each package by itself."""
    if record is None:
        return None
    packages = dict(package.partition("==")[::2] for package in record.packages)
    commit = record.git and record.git.commit
    return {"archive": record.archive, "commit": commit, "python": record.python, "packages": packages}


def _flat(value: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, item in value.items():
        path = f"{prefix}{name}"
        found |= _flat(item, f"{path}.") if isinstance(item, dict) and item else {path: item}
    return found


def _differences(settings: Sequence[Mapping[str, object]]) -> dict[str, Sequence[object]]:
    paths = dict.fromkeys(path for one in settings for path in one)
    table = {path: [one.get(path) for one in settings] for path in paths}
    return {
        path: values
        for path, values in table.items()
        if len({json.dumps(value, sort_keys=True) for value in values}) > 1
    }


def _measured(training: Training) -> Mapping[str, float]:
    if training.evaluation is not None:
        return training.evaluation
    progress = training.progress
    if progress is None:
        return {}
    losses = {"train_loss": progress.train_loss, "val_loss": progress.val_loss}
    return {**{name: loss for name, loss in losses.items() if loss is not None}, **progress.metrics}


def _metrics(measured: Sequence[Mapping[str, float]]) -> dict[str, Metric]:
    names = dict.fromkeys(name for one in measured for name in one)
    return {name: _metric(name, [one.get(name) for one in measured]) for name in names}


def _metric(name: str, values: Sequence[float | None]) -> Metric:
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2 or min(known) == max(known):
        return Metric(values, frozenset())
    best = min(known) if usual_direction(name) == "minimize" else max(known)
    return Metric(values, frozenset(index for index, value in enumerate(values) if value == best))

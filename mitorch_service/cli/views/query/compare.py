"""Shows trainings side by side (`miquery A B`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table, text
from mitorch_service.cli.views.query.base import View
from mitorch_service.insights.tables.text_export import csv_table
from mitorch_service.insights.training.compare import Comparison, Metric, measure, read_comparison
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Training, done_text
from mitorch_service.stores.base import Store

_HEAD = (Column("id"), Column("status"), Column("name", 1, 12), Column("epoch", 2), Column("dataset", 3, 10))
_EPOCH_FIELDS = ("train_loss", "val_loss", "learning_rate", "epoch_seconds", "samples_per_second")


class CompareView(View):
    """The differences between the configs of trainings, their metrics with the best marked, and their curves."""

    def __init__(self, store: Store, ids: Sequence[str]) -> None:
        self._store = store
        self._ids = ids

    def read(self) -> Page:
        comparison = read_comparison(self._store, self._ids)
        blocks: list[Block] = [Table("trainings", _HEAD, [_row(one) for one in comparison.trainings], most=5)]
        columns = (Column("config", 0, 16), *_columns(comparison, 8))
        differences = [[path, *values] for path, values in comparison.differences.items()]
        if differences:
            blocks.append(Table("what differs", columns, differences, most=8))
        else:
            blocks.append(Lines(["the configs are the same"]))
        metrics = [[name, *_marked(metric)] for name, metric in comparison.metrics.items()]
        if metrics:
            columns = (Column("metric"), *_columns(comparison))
            blocks.append(Table("metrics, the best with *", columns, metrics, most=8))
        blocks += [_curve_table(comparison, name) for name in comparison.shown_measures()]
        return Page(blocks, all(one.status in ENDED for one in comparison.trainings))

    def has_ended(self) -> bool:
        return all(self._store.trainings.get_training(id).status in ENDED for id in self._ids)

    def fields(self) -> Iterable[tuple[str, object]]:
        comparison = read_comparison(self._store, self._ids)
        yield "trainings", [_document(one) for one in comparison.trainings]
        yield "differences", dict(comparison.differences)
        yield "metrics", {name: _metric_document(metric) for name, metric in comparison.metrics.items()}
        yield "curves", [[result.to_document() for result in curve] for curve in comparison.curves]

    def show_csv(self) -> None:
        """Prints the curves, one line for each training and epoch."""
        comparison = read_comparison(self._store, self._ids)
        names = dict.fromkeys(name for curve in comparison.curves for result in curve for name in result.metrics)
        rows = (
            [training.id, training.name, result.epoch, *_csv_values(result, names)]
            for training, curve in zip(comparison.trainings, comparison.curves, strict=True)
            for result in curve
        )
        headings = ["training", "name", "epoch", *_EPOCH_FIELDS, *names]
        sys.stdout.writelines(line.removesuffix("\r\n") + "\n" for line in csv_table(headings, rows))


def _csv_values(result: EpochResult, names: Iterable[str]) -> list[object]:
    return [*(getattr(result, field) for field in _EPOCH_FIELDS), *(result.metrics.get(name) for name in names)]


def _columns(comparison: Comparison, cut: int | None = None) -> list[Column]:
    """One for each training; those named last are left out first."""
    return [Column(one.id[:8], number, cut) for number, one in enumerate(comparison.trainings)]


def _row(training: Training) -> list[object]:
    return [training.id[:8], training.status, training.name, done_text(training), training.dataset]


def _marked(metric: Metric) -> list[object]:
    return [
        None if value is None else text(value) + " *" * (index in metric.best)
        for index, value in enumerate(metric.values)
    ]


def _curve_table(comparison: Comparison, name: str) -> Table:
    curves = [{result.epoch: measure(result, name) for result in curve} for curve in comparison.curves]
    epochs = sorted({epoch for curve in curves for epoch in curve})
    rows = [[epoch, *(curve.get(epoch) for curve in curves)] for epoch in epochs]
    return Table(f"curve of {name}", (Column("epoch"), *_columns(comparison)), rows, keep="thinned")


def _document(training: Training) -> dict[str, object]:
    return {
        "id": training.id,
        "name": training.name,
        "status": training.status,
        "dataset": str(training.dataset),
        "parameters": training.trial and training.trial.parameters,
    }


def _metric_document(metric: Metric) -> dict[str, object]:
    return {"values": metric.values, "best": sorted(metric.best)}

"""Shows results, tables and pictures on a run in Azure ML's studio."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.models.result import EpochResult

if TYPE_CHECKING:
    from mitorch_service.backends.azureml.run_service import RunService

_CONFUSION = "image_confusion_matrix"
_LONG_TABLES = ("predictions",)  # with a row for each image: for the artifact store alone
_PICTURES = (".png", ".jpg", ".jpeg")
_MOST_FILES = 50  # of each kind: a script may leave any number
_MOST_BYTES = 20_000_000  # of a picture
_SHOWN = ("test_", "clean_")
_ROWS = 200  # of a table: a metric is no place for more
_PICTURE, _MATRIX = "azureml.v2.image", "azureml.v2.confusion_matrix"  # the studio's kinds

log = logging.getLogger("mitorch")


def show_result(run: RunService, result: EpochResult) -> None:
    """Logs an epoch's losses and metrics, at its step if it counts steps."""
    values = {"train_loss": result.train_loss, **result.part_losses(), "val_loss": result.val_loss}
    found = {**values, "learning_rate": result.learning_rate, **result.metrics}
    given = {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
    run.log_metrics(given, result.epoch if result.step is None else result.step)


def show_evaluation(run: RunService, evaluation: Mapping[str, float], plots: Path) -> None:
    """Logs the figures of the test split, and the tables (CSV) and pictures in the folder, of the engine or of a
    script; those of the test split are named ``test_…``. Figures of the validation are there: those of the epoch whose
    weights are kept."""
    figures = {name: value for name, value in evaluation.items() if name.startswith(_SHOWN) and math.isfinite(value)}
    if figures:
        run.log_metrics(figures, 0)
    for folder, prefix in ((plots, ""), (plots / "test", "test_")):
        for file in sorted(folder.glob("*.csv"))[:_MOST_FILES]:
            if file.stem not in _LONG_TABLES:
                _show_table(run, f"{prefix}{file.stem}", file)
        for picture in _pictures(folder):
            name = f"{prefix}{picture.stem}"
            shown = f"{name}_picture" if picture.with_suffix(".csv").exists() else name
            run.log_file(shown, f"{name}{picture.suffix}", picture.read_bytes(), _PICTURE)


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in _PICTURES and path.is_file())
    return [path for path in found if path.stat().st_size <= _MOST_BYTES][:_MOST_FILES]


def _show_table(run: RunService, name: str, file: Path) -> None:
    with file.open(encoding="utf-8", errors="replace", newline="") as opened:
        header, *rows = [row for row, _ in zip(csv.reader(opened), range(_ROWS + 1), strict=False)] or [[]]
    if any(len(row) != len(header) for row in rows):
        log.warning("%s is not shown on the run: its rows are of different lengths", file.name)
        return
    if rows:
        run.log_table(name, [{key: _number(value) for key, value in zip(header, row, strict=True)} for row in rows])
    if file.stem == _CONFUSION and (matrix := _matrix(rows)):
        data = {"class_labels": [row[0] for row in rows], "matrix": matrix}
        chart = {"schema_type": "confusion_matrix", "schema_version": "1.0.0", "data": data}
        run.log_file(f"{name}_chart", f"{name}_chart", json.dumps(chart).encode(), _MATRIX)


def _matrix(rows: Sequence[Sequence[str]]) -> list[list[int]]:
    """The counts beside the labels; empty for a table of a script that holds something else."""
    try:
        return [[int(float(value)) for value in row[1:]] for row in rows]
    except (ValueError, OverflowError):
        return []


def _number(text: str) -> float | str:
    """A number, or the text: JSON has no word for NaN."""
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text

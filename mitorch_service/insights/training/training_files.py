"""The files that a training has left in the artifact store, and what can be read of them."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, NotFound

MOST_FILES = 500
_MOST_BYTES = 8_000_000  # of a table that is read for a page
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class TrainingFile:
    """A stored file; its name is its key without the training's id."""

    name: str

    @property
    def is_picture(self) -> bool:
        return self.name.lower().endswith(_PICTURES)


@dataclass(frozen=True)
class Table:
    """The head of a CSV file."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int  # rows


def list_files(artifacts: ArtifactStore, training_id: str) -> list[TrainingFile]:
    """The files below the training's id, without its checkpoints' parts. Raises ArtifactError."""
    prefix = f"{training_id}/"
    names = [key.removeprefix(prefix) for key in artifacts.keys(prefix)]
    return [TrainingFile(name) for name in names[:MOST_FILES]]


def fetch(artifacts: ArtifactStore, training_id: str, name: str, target: Path) -> None:
    """Copies one of these files. Raises NotFound for any other name, ArtifactError."""
    key = f"{training_id}/{name}"
    if key not in artifacts.keys(f"{training_id}/"):
        raise NotFound("file of this training", name, "It may have been pruned.")
    artifacts.get(key, target)


def read_table(artifacts: ArtifactStore, training_id: str, name: str, most: int) -> Table:
    """The first rows of a CSV file, which a script may have written. Raises NotFound, ArtifactError."""
    with tempfile.TemporaryDirectory(prefix="mitorch-viewer-") as folder:
        copy = Path(folder, "table.csv")
        fetch(artifacts, training_id, name, copy)
        with copy.open(encoding="utf-8", errors="replace", newline="") as file:
            text = file.read(_MOST_BYTES)
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ArtifactError(f"{training_id}/{name}", "the artifact store", f"is no CSV file ({error})") from error
    return Table(rows[0] if rows else (), rows[1 : most + 1], max(0, len(rows) - 1 - most))


def worst_mistakes(table: Table, most: int) -> Table:
    """Returns the wrong ones of a table of predictions, the most certain first."""
    if "correct" not in table.columns or "probability" not in table.columns:
        return Table(table.columns, (), 0)
    correct, probability = table.columns.index("correct"), table.columns.index("probability")
    wrong = [row for row in table.rows if len(row) == len(table.columns) and row[correct] == "0"]
    wrong.sort(key=lambda row: -_number(row[probability]))
    return Table(table.columns, wrong[:most], max(0, len(wrong) - most) + table.left_out)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

"""Tables that trainings have left, as pages show them."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.insights.training.training_files import read_table
from mitorch_service.training.plots.predictions import Row, write_predictions
from tests.hostile_names import HOSTILE_CELLS


def test_names_of_images_and_classes_come_back_from_a_table_of_predictions(tmp_path: Path) -> None:
    """A line break, or what else Unicode calls one, ended the row for the viewer."""
    names = [name for name in HOSTILE_CELLS if name != "\ud800"]
    rows = [(name, Row(name, name, 0.5, correct=False)) for name in names]
    file = write_predictions(rows, tmp_path / "predictions.csv")
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    artifacts.put("1/predictions.csv", file)
    table = read_table(artifacts, "1", "predictions.csv", 1000)
    assert [row[:3] for row in table.rows] == [[name] * 3 for name in names]

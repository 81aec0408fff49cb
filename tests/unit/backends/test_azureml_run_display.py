"""The tables and pictures in a folder, as a run in the studio gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitorch_service.backends.azureml.run_display import show_evaluation
from mitorch_service.backends.azureml.run_service import RunService


class Recorded(RunService):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Mapping[str, float | str]]] = {}
        self.files: dict[str, str] = {}

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        pass

    def log_table(self, name: str, rows: Sequence[Mapping[str, float | str]]) -> None:
        self.tables[name] = list(rows)

    def log_file(self, name: str, file: str, content: bytes, kind: str) -> None:
        self.files[name] = file


def test_tables_and_pictures_of_a_script(tmp_path: Path) -> None:
    for name, text in {
        "scores.csv": "class,AP\na,0.5\n",
        "ragged.csv": "a,b\n1\n",
        "empty.csv": "",
        "image_confusion_matrix.csv": "of,what\na,nothing\n",
        "predictions.csv": "image,label\na.png,cat\n",
        "scores.png": "a picture",
        "curve.jpg": "a picture",
        "notes.txt": "text",
    }.items():
        (tmp_path / name).write_text(text)
    run = Recorded()
    show_evaluation(run, {"accuracy": 0.5}, tmp_path)
    assert run.tables == {
        "scores": [{"class": "a", "AP": 0.5}],
        "image_confusion_matrix": [{"of": "a", "what": "nothing"}],
    }
    assert run.files == {"scores_picture": "scores.png", "curve": "curve.jpg"}

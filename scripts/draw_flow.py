"""Draws docs/flow.svg: how a training goes from a file to its weights.

python -m scripts.draw_flow
"""

from __future__ import annotations

from pathlib import Path

from scripts.drawing import arrow, box, picture

TARGET = Path(__file__).parents[1] / "docs" / "flow.svg"

_COLLECTIONS = [
    "trainings: the queue",
    "jobs: searches",
    "training_results: curves",
    "datasets: name and version",
    "SQLite, or MongoDB for a team",
]
_CONTROLLER = ["a pass every few minutes;", "keeps nothing in memory"]


def draw() -> str:
    """The whole picture as SVG."""
    parts = [
        box((20, 40), (230, 150), "You", ["misubmit", "midataset", "micontrol cancel, retry, …"], text="code"),
        box((375, 40), (240, 190), "Database", _COLLECTIONS, "main"),
        box((740, 40), (220, 150), "What you see", ["miquery", "miquery --watch", "micontrol status"], text="code"),
        box((20, 330), (250, 110), "Controller: micontrol", _CONTROLLER, "main"),
        box((385, 330), (230, 110), "Clusters", ["this machine: slots", "Azure Machine Learning: nodes"]),
        box((720, 330), (240, 110), "Run: mirun", ["one attempt of one training,", "of ours or your own program"]),
        box((385, 490), (575, 50), "Artifact store (a folder, or blob storage)"),
        arrow([(250, 115), (375, 115)], (312, 84), ["checks, then", "one insert"]),
        arrow([(615, 115), (740, 115)], (678, 100), ["reads"]),
        arrow([(145, 330), (145, 265), (395, 265), (395, 230)], (210, 254), ["observes, plans, claims"], both=True),
        arrow([(270, 385), (385, 385)], (328, 354), ["starts runs", "by name, once"]),
        arrow([(615, 385), (720, 385)], (668, 370), ["starts"]),
        arrow([(840, 330), (840, 265), (595, 265), (595, 230)], (770, 254), ["each epoch, its end"]),
        arrow([(840, 440), (840, 490)], (900, 470), ["weights, logs"]),
    ]
    return picture("How a training goes from a config to its weights", (980, 560), parts)


if __name__ == "__main__":
    TARGET.write_text(draw(), "utf-8")

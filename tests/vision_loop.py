"""The loop that a data set of boxes goes through, on generated shapes: train a detector on half of the pictures, let it
annotate the others in CVAT (a stand-in for the server), correct that, train again on all.

    python -m tests.vision_loop [--keep FOLDER]

Called by scripts/vision_loop. The person who corrects is simulated: the truth is known. Real commands throughout, in a
home of their own; the figures are those of `mitest` on pictures that neither training has seen.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.training.suspects.box_suspects import iou
from tests.benchmarks.measuring import clean_environment
from tests.cvat_server.server import PASSWORD, USER, CvatStandIn, Task, cvat_server
from tests.unit.training.shapes import SHAPES, Drawing, draw_shapes, write_detection

CONFIG: dict[str, Any] = {
    "dataset": "shapes",
    "task_type": "object_detection",
    "model": {"name": "test_resnet-ssdlite", "input_size": 64, "pretrained": False},
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
    "lr_scheduler": {"name": "cosine", "base_lr": 0.004, "warmup": "linear", "warmup_epochs": 1},
    "augmentation": {"train": ["resize", "horizontal_flip"], "val": "resize"},
    "batch_size": 16,
    "max_epochs": 16,
    "seed": 0,
}
Result = TypeVar("Result")
_RIGHT = 0.7  # IoU from which a person leaves a box of the right class as it is
_NEAR = 0.3  # and from which one moves it


class Commands(Protocol):
    """Runs ``mitorch ARGUMENTS``, which must succeed; returns the output."""

    def __call__(self, *arguments: str) -> str: ...


@dataclass(frozen=True)
class Sizes:
    """Numbers of pictures."""

    half: int  # of each of the two that are trained on
    test: int


@dataclass(frozen=True)
class Gain:
    """The figures of the loop."""

    before: dict[str, float]  # of `mitest`, trained on half
    after: dict[str, float]  # trained on all, of which a half is corrected predictions
    corrections: Counter[str]  # the boxes of the second half: right, moved, drawn, removed
    seconds: dict[str, float]  # of each step


class VisionLoop:
    """Goes once through the loop, in `folder`."""

    def __init__(
        self,
        folder: Path,
        run: Commands,
        cvat: CvatStandIn,
        sizes: Sizes,
        config: dict[str, Any],
        tell: Callable[[str], None] = print,
    ) -> None:
        self._folder, self._run, self._cvat, self._tell = folder, run, cvat, tell
        self._first, self._second = (draw_shapes(sizes.half, seed=seed, most=3) for seed in range(2))
        self._test = write_detection(folder / "held out", draw_shapes(sizes.test, seed=2, most=3), "test")
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config))
        self._seconds: dict[str, float] = {}

    def go(self) -> Gain:
        """Takes every step; returns the figures."""
        self._step("a person annotates the first half", self._annotate_first)
        self._step("pull it", lambda: self._pull("--task", "field 1"))
        training = self._step("train on it", self._train)
        before = self._step("measure", lambda: self._measure(training))
        task = self._step("let the detector annotate the second half", lambda: self._push(training))
        corrections = self._step("a person corrects that", lambda: correct(self._cvat, task, self._named_second()))
        self._tell(", ".join(f"{count} boxes {what}" for what, count in corrections.items()))
        self._step("pull what is corrected; the first half has not changed", self._pull)
        again = self._step("train on all", self._train)
        after = self._step("measure again", lambda: self._measure(again))
        return Gain(before, after, corrections, self._seconds)

    def _step(self, name: str, step: Callable[[], Result]) -> Result:
        self._tell(f"\n== {name}")
        begin = time.monotonic()
        found = step()
        self._seconds[name] = round(time.monotonic() - begin, 1)
        return found

    def _annotate_first(self) -> None:
        named = {f"a{number:04d}.png": drawing for number, drawing in enumerate(self._first)}
        task = self._cvat.add_task("field 1", list(SHAPES), {name: _png(one) for name, one in named.items()})
        correct(self._cvat, task, named)

    def _pull(self, *options: str) -> None:
        self._tell(self._run("dataset", "cvat", "pull", *options, "--status", "completed", "--as", "shapes").strip())

    def _train(self) -> str:
        """Returns the id of a training on the newest version."""
        id = self._run("submit", str(self._config)).strip()
        self._run("control", "run", "--until-idle", "--every", "0.5")
        return id

    def _measure(self, training: str) -> dict[str, float]:
        shown = json.loads(self._run("query", training, "--json"))
        weights = shown["artifacts"]["model"]
        found: dict[str, float] = json.loads(
            self._run("test", str(self._config), str(self._test), "-w", weights, "--json")
        )
        self._tell(json.dumps({name: round(value, 4) for name, value in found.items() if "mAP" in name}))
        return found

    def _push(self, training: str) -> Task:
        folder = self._folder / "new pictures"
        folder.mkdir()
        for name, drawing in self._named_second().items():
            (folder / name).write_bytes(_png(drawing))
        self._tell(self._run("dataset", "cvat", "push", training, str(folder), "--create", "field 2").strip())
        return next(task for task in self._cvat.tasks.values() if task.name == "field 2")

    def _named_second(self) -> dict[str, Drawing]:
        return {f"b{number:04d}.png": drawing for number, drawing in enumerate(self._second)}


def correct(cvat: CvatStandIn, task: Task, true: dict[str, Drawing]) -> Counter[str]:
    """Puts the true boxes in the place of whatever is in a task and completes it, as a careful person does; returns
    what became of the boxes."""
    there = [Box(task.labels[one["label_id"] - 100 * task.id], *one["points"]) for one in task.shapes]
    frames = [one["frame"] for one in task.shapes]
    done = Counter({"right": 0, "moved": 0, "drawn": 0, "removed": 0})
    task.shapes.clear()
    for frame, name in enumerate(sorted(task.images)):
        guesses = [box for box, place in zip(there, frames, strict=True) if place == frame]
        for label, corners in zip(true[name].labels, true[name].boxes, strict=True):
            box = Box(SHAPES[label], *corners)
            nearest = max(guesses, key=lambda one: iou(one, box), default=None)
            overlap = 0.0 if nearest is None else iou(nearest, box)
            if nearest is not None and overlap >= _NEAR:
                guesses.remove(nearest)
                right = overlap >= _RIGHT and nearest.class_name == box.class_name
                done["right" if right else "moved"] += 1
            else:
                done["drawn"] += 1
            cvat.draw(task, name, box.class_name, *corners)
        done["removed"] += len(guesses)
    task.status = "completed"
    return done


def _png(drawing: Drawing) -> bytes:
    buffer = io.BytesIO()
    drawing.image.save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder, in which everything is left")
    kept = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as temporary, cvat_server() as cvat:
        folder = (kept or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        environment = clean_environment() | {
            "HOME": str(folder),
            "MITORCH_CVAT_URL": cvat.url,
            "MITORCH_CVAT_AUTH": f"{USER}:{PASSWORD}",
        }

        def run(*arguments: str) -> str:
            program = [str(Path(sys.executable).with_name(f"mi{arguments[0]}")), *arguments[1:]]
            print("$", f"mi{arguments[0]}", *arguments[1:], flush=True)
            return subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

        begin = time.monotonic()
        gain = VisionLoop(folder, run, cvat, Sizes(half=300, test=250), CONFIG).go()
    figures = {name: [round(found[f"test_{name}"], 4) for found in (gain.before, gain.after)] for name in _FIGURES}
    print("\n== the gain, on pictures that neither has seen: trained on half, and on all")
    print(json.dumps(figures | {"boxes": gain.corrections, "seconds": round(time.monotonic() - begin)}))


_FIGURES = ("mAP", "mAP_50")

if __name__ == "__main__":
    main()

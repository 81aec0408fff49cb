"""Three trainings from a generated data set to the pictures of their mistakes, each queued and without the service.

    python -m tests.benchmarks.demonstrations [--only digits|shapes|labels] [--keep FOLDER]

``digits`` are scikit-learn's (one class each), ``shapes`` pictures of discs, squares and triangles with their boxes,
and ``labels`` such pictures with the classes that they show. Each is trained through `misubmit` and `micontrol run
--until-idle` on the embedded defaults, and through `mitrain`, in processes of their own, and tested by `mitest`. In the
folder kept: the artifacts of the queued ones below ``home``, ``*.plots`` of the others, and sheets of augmented images.

Prints one JSON object a line: what each training reached, and the seconds of its process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.write_digits import write_digits
from tests.benchmarks.measuring import clean_environment, report
from tests.unit.training.shapes import SHAPES, Drawing, draw_shapes, write_detection

SIZES = {"train": 1400, "val": 250, "test": 250}  # of the sets of shapes
COMMON = {"optimizer": {"name": "adamw", "weight_decay": 0.01}, "seed": 0}
CONFIGS: dict[str, dict[str, Any]] = {
    "digits": {
        "model": {"name": "test_resnet", "input_size": 24},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.005, "warmup": "linear", "warmup_epochs": 1},
        "augmentation": {
            "train": [{"name": "random_affine", "options": {"degrees": 10, "translate": 0.1}}],
            "val": "resize",
        },
        "batch_size": 64,
        "max_epochs": 8,
    },
    "shapes": {
        "task_type": "object_detection",
        "model": {"name": "test_resnet-ssdlite", "input_size": 64},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.004, "warmup": "linear", "warmup_epochs": 1},
        "augmentation": {"train": ["resize", "horizontal_flip"], "val": "resize"},
        "batch_size": 16,
        "max_epochs": 16,
    },
    "labels": {
        "task_type": "multilabel_classification",
        "model": {"name": "test_resnet", "input_size": 64},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.005, "warmup": "linear", "warmup_epochs": 1},
        "augmentation": {"train": ["resize", "horizontal_flip"], "val": "resize"},
        "batch_size": 32,
        "max_epochs": 8,
    },
}
FIGURES = {"digits": "top1_accuracy", "shapes": "mAP_50", "labels": "average_precision"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(CONFIGS), action="append", help="this one alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave everything in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).absolute()
        names = options.only or list(CONFIGS)
        # one thread, as each of the service's two slots has on two cores
        environment = {"OMP_NUM_THREADS": "1", **clean_environment(), "MITORCH_HOME": str(folder / "home")}
        for name in names:
            write_set(folder / name, name)
        queued(folder, names, environment)
        for name in names:
            alone(folder, name, environment)


def write_set(folder: Path, name: str) -> None:
    """The data set with its definition ``NAME.json``, and the config ``config.json``."""
    if name == "digits":
        write_digits(folder, name)
    else:
        write = write_detection if name == "shapes" else write_labels
        for seed, (split, images) in enumerate(SIZES.items()):
            write(folder, draw_shapes(images, seed=seed, most=3), split)
        parts = {split: {"path": f"{split}.txt"} for split in SIZES}
        (folder / f"{name}.json").write_text(json.dumps([{"name": name, "version": 1, **parts}]))
    (folder / "config.json").write_text(json.dumps({**COMMON, **CONFIGS[name]}))


def write_labels(folder: Path, drawings: list[Drawing], split: str) -> None:
    """Writes the shapes in each picture as a multilabel set, without pictures that show none."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    lines = []
    for index, drawing in enumerate(drawings):
        if drawing.labels:
            drawing.image.save(folder / split / f"{index}.png")
            lines.append(f"{split}/{index}.png {','.join(map(str, sorted(set(drawing.labels))))}\n")
    (folder / "labels.txt").write_text("\n".join(SHAPES) + "\n")
    (folder / f"{split}.txt").write_text("".join(lines))


def queued(folder: Path, names: list[str], environment: dict[str, str]) -> None:
    """All of them through the service, as many at a time as it sees fit."""
    for name in names:
        run(environment, "midataset", "register", folder / name / f"{name}.json")
    ids = {name: run(environment, "misubmit", folder / name / "config.json", "--dataset", name) for name in names}
    run(environment, "micontrol", "run", "--until-idle", "--every", "1")
    for name, training_id in ids.items():
        shown = json.loads(run(environment, "miquery", training_id.strip(), "--json"))
        training = shown.get("training", shown)
        figures = training["evaluation"] or {}
        for figure in (FIGURES[name], f"test_{FIGURES[name]}"):
            report(f"{name}, queued: {figure}", figures[figure], "")


def alone(folder: Path, name: str, environment: dict[str, str]) -> None:
    """One of them on files alone."""
    data, weights = folder / name, folder / f"{name}.pth"
    splits = [data / "config.json", data / "train.txt", data / "val.txt"]
    run(environment, "mitrain", *splits, "--preview-augmentation", "16", "-o", folder / f"{name}.preview.png")
    begin = time.monotonic()
    run(environment, "mitrain", *splits, "-o", weights)
    seconds = time.monotonic() - begin
    for split in ("val", "test"):
        tested = run(environment, "mitest", splits[0], data / f"{split}.txt", "-w", weights, "--json")
        report(f"{name}, mitrain: {split} {FIGURES[name]}", json.loads(tested)[f"test_{FIGURES[name]}"], "")
    report(f"{name}, mitrain: whole process", seconds, "s")


def run(environment: dict[str, str], command: str, *arguments: object) -> str:
    """Returns the output of one of our commands; its errors go to ours. Raises CalledProcessError."""
    program = [str(Path(sys.executable).with_name(command)), *map(str, arguments)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(program, env=environment | {"PATH": path}, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main()

"""Measures how many wrong labels `midataset suspects` finds by real networks: of digits, and of the boxes of generated
shapes, of which 3 % are spoiled. The set is cut into folds; each is judged by networks that were trained on the others.

    python -m tests.benchmarks.suspects [--only digits|shapes] [--folds 4] [--models 2] [--epochs N] [--seed 0]

Prints a JSON object a line: the share of what is spoiled among the first 6 % of the suspects.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import read_split
from mitorch_service.training.data.targets import ClassTargets
from mitorch_service.training.loop.engine import train
from mitorch_service.training.networks.weights import save_weights
from mitorch_service.training.prediction.loading import load_model
from mitorch_service.training.suspects.box_suspects import iou
from mitorch_service.training.suspects.ranking import Readings, Suspect
from tests.benchmarks.demonstrations import COMMON, CONFIGS
from tests.unit.training.pictures import write_digits
from tests.unit.training.shapes import SHAPES, Drawing, draw_shapes, write_detection

_SPOILED, _FIRST = 0.03, 0.06
_IMAGES = 600  # with shapes
_TOUCHES = 0.1  # IoU from which a suspect is of a box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("digits", "shapes"))
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--models", type=int, default=2, help="for each fold, of different seeds")
    parser.add_argument("--epochs", type=int, help="those of tests.benchmarks.demonstrations, if not given")
    parser.add_argument("--seed", type=int, default=0, help="of what is spoiled")
    options = parser.parse_args()
    for name, measure in (("digits", _digits), ("shapes", _shapes)):
        if options.only in (None, name):
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                figures = measure(Path(folder), options)
            asked = {"folds": options.folds, "models": options.models, "seconds": round(time.monotonic() - start)}
            print(json.dumps({"set": name, **figures, **asked}), flush=True)


def _digits(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    write_digits(folder)
    images = read_split(folder / "train.txt")
    draw = np.random.default_rng(options.seed)
    wrong = draw.choice(len(images), round(_SPOILED * len(images)), replace=False)
    labels = array("i", (images.targets.labels_of(index)[0] for index in range(len(images))))
    for index, by in zip(wrong.tolist(), draw.integers(1, 10, len(wrong)).tolist(), strict=True):
        labels[index] = (labels[index] + by) % 10
    spoiled = replace(images, targets=ClassTargets(labels))
    ranked = _judged(spoiled, "digits", folder, options)
    first = {one.index for one in ranked[: round(_FIRST * len(images))]}
    return _figures(len(images), len(wrong), len(first & set(wrong.tolist())))


def _shapes(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A third of what is spoiled has another class, a third is moved by half of its side, a third is gone."""
    drawings = draw_shapes(_IMAGES, seed=options.seed, most=3)
    draw = np.random.default_rng(options.seed)
    places = [(image, box) for image, one in enumerate(drawings) for box in range(len(one.boxes))]
    wrong = draw.choice(len(places), round(_SPOILED * len(places)), replace=False).tolist()
    marks = []  # the image of each, and the boxes that tell of it
    for number, place in enumerate(sorted((places[one] for one in wrong), reverse=True)):
        marks.append((place[0], _spoil(drawings[place[0]], place[1], number % 3)))
    images = read_image_list(write_detection(folder, drawings))
    ranked = _judged(images, "shapes", folder, options)[: round(_FIRST * len(places))]
    found = [any(one.index == image and _tells(one, boxes) for one in ranked) for image, boxes in marks]
    return _figures(len(places), len(wrong), sum(found))


def _spoil(drawing: Drawing, box: int, how: int) -> list[Box]:
    """Spoils one box of a drawing, the last ones first; returns where it is and was."""
    true = drawing.boxes[box]
    boxes = [Box("", *true)]
    if how == 0:
        drawing.labels[box] = (drawing.labels[box] + 1) % len(SHAPES)
    elif how == 1:
        by = (true[2] - true[0]) // 2
        by = by if true[2] + by <= drawing.image.width else -by
        drawing.boxes[box] = (true[0] + by, true[1], true[2] + by, true[3])
        boxes.append(Box("", *drawing.boxes[box]))
    else:
        del drawing.boxes[box], drawing.labels[box]
    return boxes


def _tells(one: Suspect, boxes: list[Box]) -> bool:
    shown = [box for box in (one.box, one.suggested_box) if box is not None]
    return any(iou(box, other) > _TOUCHES for box in shown for other in boxes)


def _figures(count: int, spoiled: int, found: int) -> dict[str, Any]:
    return {"of": count, "spoiled": spoiled, "found_in_first_6_percent": round(found / spoiled, 3)}


def _judged(images: ImageList, name: str, folder: Path, options: argparse.Namespace) -> list[Suspect]:
    """Ranks the images by models of all folds, none of which judges an image that it was trained on."""
    readings = Readings({"train": images})
    for fold in range(options.folds):
        held = images.select(range(fold, len(images), options.folds), f"fold {fold}")
        others = images.select([i for i in range(len(images)) if i % options.folds != fold], f"all but {fold}")
        for seed in range(options.models):
            fields = COMMON | CONFIGS[name] | {"seed": seed, "num_workers": 0}
            if options.epochs is not None:
                fields |= {"max_epochs": options.epochs}
            outcome = train(TrainingConfig.model_validate(fields), others, held)
            save_weights(outcome.state_dict, folder / "model.pth", outcome.metadata)
            seen = {str(others.location(index)) for index in range(len(others))}
            readings.add(load_model(folder / "model.pth"), f"model {seed} of fold {fold}", seen)
    return readings.rank().suspects


if __name__ == "__main__":
    main()

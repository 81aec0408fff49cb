"""Reads the sets that `mitorch_service.perform_run` passes: tables of labels, and folders of images."""

from __future__ import annotations

import argparse
import ast
import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATASTORE_NAME = os.environ.get("DATASTORE_NAME", "main_datastore")


@dataclass(frozen=True)
class LabelledImage:
    """An image file, and its objects: type (or label), bottomX, topX, bottomY and topY in pixels, confidence."""

    path: Path
    objects: list[dict[str, Any]]


def arguments(**parameters: Any) -> argparse.Namespace:
    """The arguments of the script: pairs of a table and a folder, and your parameters with their defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--train_sets", nargs="+", required=True)
    parser.add_argument("--test_sets", nargs="*", default=[])
    for name, default in parameters.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def read_sets(words: list[str], min_confidence: float = 0.0) -> list[LabelledImage]:
    """The images of all pairs ``LABELS IMAGES LABELS IMAGES …``, without objects below the confidence."""
    found = []
    for table, folder in zip(words[::2], words[1::2], strict=True):
        with Path(table).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.append(LabelledImage(_image(Path(folder), row["image_url"]), _objects(row, min_confidence)))
    return found


def name_of(thing: dict[str, Any]) -> str:
    """The class of an object."""
    return str(thing.get("type", thing.get("label")))


def classes_of(images: list[LabelledImage]) -> list[str]:
    """The names of all classes, sorted: their places are their ids, in training as in testing."""
    return sorted({name_of(thing) for image in images for thing in image.objects})


def _image(folder: Path, image_url: str) -> Path:
    """The file of an image: sets made by programs have the datastore's name before it, those of the studio have not."""
    candidates = [folder / image_url.lstrip("/"), folder / DATASTORE_NAME / image_url.lstrip("/")]
    if image_url.startswith(f"{DATASTORE_NAME}/"):
        candidates.append(folder / image_url.removeprefix(f"{DATASTORE_NAME}/"))
    found = next((one for one in candidates if one.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"{image_url} is not in {folder}: is DATASTORE_NAME ({DATASTORE_NAME}) right?")
    return found


def _objects(row: dict[str, str], min_confidence: float) -> list[dict[str, Any]]:
    objects = ast.literal_eval(row["label"] or "[]")
    sure = ast.literal_eval(row.get("label_confidence") or "[]") or [1.0] * len(objects)
    return [
        {**thing, "confidence": one} for thing, one in zip(objects, sure, strict=True) if float(one) >= min_confidence
    ]

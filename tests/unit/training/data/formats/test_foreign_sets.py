"""The files that Datumaro writes, against what it was told to write."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.splits import read_splits
from tests import foreign_sets

HERE = Path(foreign_sets.__file__).parent
PATHS = {
    "coco_instances": ("annotations/instances_train.json", "annotations/instances_val.json"),
    "voc_detection": ("ImageSets/Main/train.txt", "ImageSets/Main/val.txt"),
    "yolo": ("obj.data", "obj.data"),
    "yolo_ultralytics": ("data.yaml", "data.yaml"),
    "cvat": ("train.xml", "val.xml"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datumaro")
    with tarfile.open(HERE / "datumaro.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "sets"


@pytest.mark.parametrize("format", PATHS)
def test_datumaro(format: str, folder: Path) -> None:
    expected = json.loads((HERE / "datumaro.json").read_text())
    paths = {split: folder / format / path for split, path in zip(("train", "val"), PATHS[format], strict=True)}
    lists = read_splits(paths)
    shift = 1 if format == "voc_detection" else 0  # it writes VOC's corners as if pixels were counted from 0
    for split, images in lists.items():
        for image, _ in annotated_images(images):
            boxes = expected["boxes"][split].pop(Path(image.path).stem)
            assert (image.width, image.height) == (40, 20)
            assert len(image.boxes) == len(boxes)
            for found, (label, x, y, width, height) in zip(image.boxes, boxes, strict=True):
                assert found.class_name == expected["classes"][label]
                corners = (max(x - shift, 0), max(y - shift, 0), x + width, y + height)
                assert (found.left, found.top, found.right, found.bottom) == pytest.approx(corners, abs=0.01)
    assert expected["boxes"] == {"train": {}, "val": {}}

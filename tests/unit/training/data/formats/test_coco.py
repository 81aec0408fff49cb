from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.registry import read_image_list


def write(folder: Path, **changes: Any) -> Path:
    document = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 2, 2]}],
        "categories": [{"id": 5, "name": "cat"}, {"id": 6, "name": "dog"}],
    }
    (folder / "a.json").write_text(json.dumps(document | changes))
    return folder / "a.json"


@pytest.mark.parametrize("name", ["a.png", "./a.png", "b/../a.png"])
def test_two_images_of_one_file_name_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": name}])
    with pytest.raises(DataError, match=r"two images have the file name '.*a\.png'\. Give each its own"):
        read_image_list(path)


def test_two_categories_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, categories=[{"id": 5, "name": "cat"}, {"id": 6, "name": "owl"}, {"id": 5, "name": "dog"}])
    with pytest.raises(DataError, match="two categories have the id 5"):
        read_image_list(path)


@pytest.mark.parametrize("classes", [None, ClassList(("cat", "dog"), "the training images")])
def test_two_categories_of_one_name_are_refused(tmp_path: Path, classes: ClassList | None) -> None:
    path = write(tmp_path, categories=[{"id": 5, "name": "cat"}, {"id": 6, "name": "cat"}])
    with pytest.raises(DataError, match="two categories have the same name"):
        read_image_list(path, classes=classes)

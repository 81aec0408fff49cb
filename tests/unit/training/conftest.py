"""Data sets and a config that the training tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from tests.unit.training.pictures import write_colors, write_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the digits; read only."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return folder


@pytest.fixture(scope="session")
def colors(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageList, ImageList]:
    """24 training and 9 validation images in three classes; read only."""
    folder = tmp_path_factory.mktemp("colors")
    return read_image_list(write_colors(folder, 24)), read_image_list(write_colors(folder, 9, "val"))

"""Fixtures of the tests of the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.loop.interrupted import Lists
from tests.unit.training.pictures import write_colors


@pytest.fixture
def multiclass(tmp_path: Path) -> Lists:
    return read_image_list(write_colors(tmp_path, 24)), read_image_list(write_colors(tmp_path, 9, "val"))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.preview import write_preview

CONFIG = TrainingConfig.model_validate(
    {
        "model": {"name": "test_resnet", "input_size": 40},
        "lr_scheduler": {"name": "constant", "base_lr": 0.1},
        "max_epochs": 1,
        "augmentation": {"train": "letterbox"},
    }
)
BOX_COLOR = [0xE6, 0x19, 0x4B]  # of class 0


def test_boxes_are_drawn_around_what_they_hold(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 80), "black")
    image.paste("white", (20, 30, 60, 70))
    image.save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 20 30 60 70\n")
    (tmp_path / "train.txt").write_text("a.png a.txt\n")
    write_preview(CONFIG, read_image_list(tmp_path / "train.txt"), 1, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as sheet:
        pixels = np.asarray(sheet)
    rows, columns = np.nonzero((pixels == BOX_COLOR).all(-1))
    top, left = 6 + 14, 6  # the gap, and the caption above the image
    frame = [columns.min() - left, rows.min() - top, columns.max() + 1 - left, rows.max() + 1 - top]
    assert frame == [40, 60, 120, 140]  # four times as large


def test_more_tiles_than_images_show_further_epochs(tmp_path: Path, colors: tuple[ImageList, ImageList]) -> None:
    write_preview(CONFIG, colors[1], 12, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.size == (4 * (160 + 6) + 6, 3 * (160 + 14 + 6) + 6)


def test_says_what_is_wrong(tmp_path: Path, colors: tuple[ImageList, ImageList]) -> None:
    with pytest.raises(DataError, match=r"out\.png: cannot be written"):
        write_preview(CONFIG, colors[1], 1, tmp_path / "absent" / "out.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "train.txt").write_text("bad.png 0\n")
    with pytest.raises(DataError, match=r"bad\.png cannot be decoded"):
        write_preview(CONFIG, read_image_list(tmp_path / "train.txt"), 1, tmp_path / "out.png")

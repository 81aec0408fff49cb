from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from mitorch_service.training.data.images.decoding import decode
from mitorch_service.training.data.targets import Boxes

ORIENTATION = 0x0112


def jpeg(image: Image.Image, orientation: int | None = None) -> BytesIO:
    buffer, exif = BytesIO(), Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    image.save(buffer, "JPEG", quality=95, exif=exif)
    buffer.seek(0)
    return buffer


def boxes(*corners: list[float]) -> Boxes:
    return Boxes(np.arange(len(corners)), np.array(corners, np.float32).reshape(-1, 4))


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_image_and_boxes_are_turned_as_exif_says(orientation: int | None) -> None:
    """Against Pillow's own turning of the pixels: the white rectangle is where the box says."""
    stored = Image.new("RGB", (64, 40))
    ImageDraw.Draw(stored).rectangle((8, 16, 31, 23), fill="white")
    picture = decode(jpeg(stored, orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(jpeg(stored, orientation))))
    assert np.array_equal(np.asarray(picture.image), expected)
    assert picture.stored_size == (64, 40)
    rows, columns = np.nonzero(expected[..., 0] > 128)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert picture.map_boxes(boxes([8, 16, 32, 24])).boxes.tolist() == [pytest.approx(seen, abs=1e-4)]


def test_a_large_jpeg_is_decoded_smaller_but_not_below_what_is_asked_for() -> None:
    stored = Image.new("RGB", (400, 240))
    ImageDraw.Draw(stored).rectangle((80, 40, 159, 119), fill="white")
    sizes = {side: decode(jpeg(stored), side).image.size for side in (500, 240, 121, 120, 60, 8)}
    assert sizes == {500: (400, 240), 240: (400, 240), 121: (400, 240), 120: (200, 120), 60: (100, 60), 8: (50, 30)}
    quarter = decode(jpeg(stored), 60)
    assert quarter.map_boxes(boxes([80, 40, 160, 120])).boxes.tolist() == [[20, 10, 40, 30]]
    assert np.asarray(quarter.image)[12:28, 22:38].min() > 240
    assert np.array_equal(np.asarray(quarter.image), np.asarray(decode(jpeg(stored), 60).image))


def test_boxes_are_cut_off_at_the_edge_and_left_out_beyond() -> None:
    picture = decode(jpeg(Image.new("RGB", (20, 10))))
    placed = picture.map_boxes(boxes([-5, 2, 4, 40], [21, 1, 30, 5], [3, 3, 3, 3], [0, 0, 20, 10]))
    assert placed.labels.tolist() == [0, 3]
    assert placed.boxes.tolist() == [[0, 2, 4, 10], [0, 0, 20, 10]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_of_16_bits_is_scaled_not_cut_off(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 128, 257 * 100, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    pixels = np.asarray(decode(tmp_path / name).image)
    assert pixels[0, :, 0].tolist() == [0, 0, 100, 255]
    assert (pixels[..., 0] == pixels[..., 2]).all()

"""Small data sets, written in the product's format."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

COLORS = ("red", "lime", "blue")


def png(color: str, size: tuple[int, int] = (9, 8)) -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def write_colors(folder: Path, images: int, name: str = "train") -> Path:
    """`images` noisy pictures in three classes by colour, as plain files; returns the text file."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(name.encode()))  # no image of one split is in another
    lines = []
    for index in range(images):
        pixels = np.full((8, 9, 3), 60) + noise.integers(0, 60, (8, 9, 3))
        pixels[..., index % 3] += 100
        Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{index}.png")
        lines.append(f"{name}/{index}.png {index % 3}\n")
    (folder / "labels.txt").write_text("\n".join(COLORS) + "\n")
    text = folder / f"{name}.txt"
    text.write_text("".join(lines))
    return text


def write_digits(folder: Path) -> None:
    """scikit-learn's digits: images.zip, train.txt (1,257), val.txt (270), test.txt (270), labels.txt."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for index in order:
            buffer = io.BytesIO()
            Image.fromarray((digits.images[index] * 255 / 16).astype("uint8")).save(buffer, "PNG")
            archive.writestr(f"{index:04d}.png", buffer.getvalue())
    for name, members in (("train", order[:1257]), ("val", order[1257:1527]), ("test", order[1527:])):
        lines = [f"images.zip@{index:04d}.png {digits.target[index]}\n" for index in members]
        (folder / f"{name}.txt").write_text("".join(lines))
    (folder / "labels.txt").write_text("".join(f"digit {label}\n" for label in range(10)))


def png_head(width: int, height: int) -> bytes:
    """A PNG of any size without pixels, which has a size but cannot be decoded."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b""), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)

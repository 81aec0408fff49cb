"""Writes scikit-learn's 1,797 handwritten digits (8 by 8 pixels, ten classes) as a data set in the product's format.

    python scripts/write_digits.py FOLDER

Creates in FOLDER images.zip with a PNG file per digit, train.txt, val.txt and test.txt (70, 15 and 15 %, stratified by
class), labels.txt and digits.json for `midataset register`.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def write_digits(folder: Path, name: str = "digits", version: int = 1) -> Path:
    """Writes the data set; returns the path of its definition."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    everything = list(range(len(digits.target)))
    train, rest = train_test_split(everything, train_size=0.7, stratify=digits.target, random_state=0)
    val, test = train_test_split(rest, train_size=0.5, stratify=digits.target[rest], random_state=0)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for split, members in (("train", train), ("val", val), ("test", test)):
            lines = []
            for index in sorted(members):
                entry = f"{split}/{index:04d}.png"
                # fixed timestamps, so that the same digits give the same archive
                archive.writestr(zipfile.ZipInfo(entry), _png(digits.images[index]))
                lines.append(f"images.zip@{entry} {digits.target[index]}\n")
            (folder / f"{split}.txt").write_text("".join(lines))
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in digits.target_names))
    support = ["images.zip", "labels.txt"]
    splits = {split: {"path": f"{split}.txt", "support_files": support} for split in ("train", "val", "test")}
    definition = folder / f"{name}.json"
    definition.write_text(json.dumps([{"name": name, "version": version, **splits}], indent=2))
    return definition


def _png(pixels) -> bytes:  # type: ignore[no-untyped-def]
    """Encodes pixels (8, 8) with values 0 to 16 as PNG."""
    image = Image.fromarray((pixels * (255 / 16)).astype("uint8"))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    print(write_digits(Path(sys.argv[1])))

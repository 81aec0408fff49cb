"""Lets Datumaro, by which CVAT exports most formats, write a small data set in the formats that we read.

Run with a Python that has it (`pip install datumaro`): `python tests/foreign_sets/datumaro_sets.py`. In datumaro.tar.gz
are the files, in datumaro.json its version and what it was told to write. Version 1.13.12 also read the files that
`write_annotations` had written in all of these formats, with the same boxes and classes; of Pascal VOC it keeps the
corners as they are in the file, where VOC counts pixels from 1.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CLASSES = ["cat", "black dog", "犬"]
BOXES: dict[str, dict[str, list[tuple[float, ...]]]] = {  # by split and image: the class, x, y, width and height
    "train": {"a": [(1, 1, 2.5, 10, 9.75), (0, 0, 0, 40, 20)], "b": [(2, 3.25, 4.5, 20, 8)]},
    "val": {"c": [(1, 1, 1, 5, 5)]},
}
FORMATS = ("coco_instances", "voc_detection", "yolo", "yolo_ultralytics", "cvat")


def main() -> None:
    import datumaro as dm
    import numpy as np

    pixels = np.full((20, 40, 3), 90, np.uint8)
    items = [
        dm.DatasetItem(
            name,
            subset=split,
            media=dm.Image.from_numpy(data=pixels),
            annotations=[dm.Bbox(*box, label=label) for label, *box in boxes],
        )
        for split, images in BOXES.items()
        for name, boxes in images.items()
    ]
    categories = {dm.AnnotationType.label: dm.LabelCategories.from_iterable(CLASSES)}
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            found = dm.Dataset.from_iterable(items, categories=categories)
            found.export(f"{folder}/{name}", name, save_media=True, image_ext=".png")
        with tarfile.open(HERE / "datumaro.tar.gz", "w:gz") as archive:
            archive.add(folder, "sets")
    expected = {"version": dm.__version__, "classes": CLASSES, "boxes": BOXES}
    (HERE / "datumaro.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""Measures the cost of reading a large data set, and the memory that its loading processes copy.

    python -m tests.benchmarks.dataset_memory [--lines 1000000] [--only multiclass] [--workers 2]

Text files of a million lines: one class each, several, a file of boxes each, and entries of zip archives; boxes of as
many images in COCO's JSON, and in CSV. Each is read in a process of its own, as the commands read it, images looked for
and all, together with a validation file of a hundredth of its lines. ``imports`` is what torch and the engine take
before anything is read; ``peak`` is all of the process at its highest, ``beyond imports`` the part due to the data set.

``worker`` is the memory of a loading process that no other has (private), after a hundred batches in random order; its
floor a process that loads from a plain Python list of paths and classes, which copies what it counts references of.
Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from tests.benchmarks.measuring import clean_environment, report

PER_FOLDER = 1000
FOLDERS = "images"  # a folder of images, and links to it, so that few files have many paths
BOX = "1 2.5 3 20.25 30\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=tuple(FORMS), action="append", help="this form alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), options.lines)
        for name in options.only or FORMS:
            measure(Path(folder), name, options.lines, options.workers)


def measure(folder: Path, name: str, lines: int, workers: int) -> None:
    """Writes the data set of one form, and reports what reading it in another process took."""
    train, val = (FORMS[name](folder, split, count) for split, count in (("train", lines), ("val", lines // 100)))
    command = [sys.executable, "-m", "tests.benchmarks.dataset_reading", str(train), str(val), str(workers)]
    done = subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    what = f"{name}, {lines} lines"
    report(f"{what}: read", found["seconds"], "s")
    report(f"{what}: read, processor time", found["processor"], "s")
    report(f"{what}: peak", found["peak"], "MB")
    report(f"{what}: imports", found["imports"], "MB")
    report(f"{what}: peak beyond imports", found["peak"] - found["imports"], "MB")
    if workers:
        report(f"{what}: private memory of a worker", found["worker"], "MB", found["list_worker"])


def write_images(folder: Path, lines: int) -> None:
    """`lines` paths of images that are there, as `image_name` has them."""
    first = folder / FOLDERS / "0"
    first.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(first / "0.png")
    (first / "0.txt").write_text(BOX)
    for number in range(1, PER_FOLDER):
        for suffix in ("png", "txt"):
            (first / f"{number}.{suffix}").hardlink_to(first / f"0.{suffix}")
    for number in range(1, -(-lines * 101 // 100 // PER_FOLDER) + 1):
        (folder / FOLDERS / str(number)).symlink_to(first, target_is_directory=True)


def names(split: str, count: int) -> Iterator[str]:
    """The paths of a split's images, without their suffix; no image is in both splits."""
    first = 0 if split == "train" else count * 100
    for index in range(first, first + count):
        yield f"{index // PER_FOLDER}/{index % PER_FOLDER}"


def write_text(folder: Path, split: str, count: int, line: Callable[[int, str], str]) -> Path:
    path = folder / f"{split}.txt"
    with path.open("w") as file:
        file.writelines(line(index, name) for index, name in enumerate(names(split, count)))
    return path


def multiclass(folder: Path, split: str, count: int) -> Path:
    return write_text(folder, split, count, lambda index, name: f"{FOLDERS}/{name}.png {index % 1000}\n")


def multilabel(folder: Path, split: str, count: int) -> Path:
    return write_text(
        folder, split, count, lambda index, name: f"{FOLDERS}/{name}.png {index % 80},{index % 7},{index % 11}\n"
    )


def detection(folder: Path, split: str, count: int) -> Path:
    return write_text(folder, split, count, lambda index, name: f"{FOLDERS}/{name}.png {FOLDERS}/{name}.txt\n")


def zipped(folder: Path, split: str, count: int) -> Path:
    """Ten archives, as data sets of this size come."""
    return _zipped(folder, split, count, 10)


def one_zip(folder: Path, split: str, count: int) -> Path:
    return _zipped(folder, split, count, 1)


def _zipped(folder: Path, split: str, count: int, archives: int) -> Path:
    pixels = (folder / FOLDERS / "0" / "0.png").read_bytes()
    each = -(-count // archives)
    for number in range(archives):
        with zipfile.ZipFile(folder / f"{split}{number}.zip", "w") as archive:
            for index in range(number * each, min(count, (number + 1) * each)):
                archive.writestr(f"pictures/{index}.png", pixels)
    return write_text(
        folder, split, count, lambda index, name: f"{split}{index // each}.zip@pictures/{index}.png {index % 1000}\n"
    )


def coco(folder: Path, split: str, count: int) -> Path:
    """Ten boxes an image."""
    path = folder / f"{split}.json"
    with path.open("w") as file:
        file.write('{"info": {}, "categories": [')
        file.write(", ".join(json.dumps({"id": one, "name": f"class {one}"}) for one in range(1, 81)))
        file.write('], "images": [')
        for index, name in enumerate(names(split, count // 10)):
            image = {"id": index, "file_name": f"{name}.png", "width": 32, "height": 32}
            file.write(", " * (index > 0) + json.dumps(image))
        file.write('], "annotations": [')
        for index in range(count):
            box = {"bbox": [1.5, 2, 3 + index % 20, 4.25], "area": 20.0, "iscrowd": 0, "segmentation": [[1.5] * 8]}
            box |= {"id": index, "image_id": index // 10, "category_id": 1 + index % 80}
            file.write(", " * (index > 0) + json.dumps(box))
        file.write("]}")
    return path


def csv(folder: Path, split: str, count: int) -> Path:
    """Ten boxes an image."""
    path = folder / f"{split}.csv"
    with path.open("w") as file:
        file.write("image,x1,y1,x2,y2,class\n")
        for name in names(split, count // 10):
            file.writelines(f"{name}.png,1,2,{11 + box},20.5,class {box}\n" for box in range(10))
    return path


FORMS: dict[str, Callable[[Path, str, int], Path]] = {
    "multiclass": multiclass,
    "multilabel": multilabel,
    "detection": detection,
    "zip@entry, ten archives": zipped,
    "zip@entry, one archive": one_zip,
    "COCO": coco,
    "CSV": csv,
}


if __name__ == "__main__":
    main()

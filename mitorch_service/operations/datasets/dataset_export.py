"""Writes data sets in the formats of other tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers import voc, yolo, yolov5
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.registry import FOLDERS, ONE_WAY, write_annotations
from mitorch_service.errors import DataError, InvalidInput, Problem
from mitorch_service.operations.datasets.exported_images import ExportedImages
from mitorch_service.training.data.annotated_images import annotated_images, as_stored
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import read_splits

Handling = Literal["leave", "link", "copy"]

_UPRIGHT = ("cvat", "yolo", "yolov5")  # formats in pixels of the image as it is to be seen
_NEED_IMAGES = ("voc", "yolo", "yolov5")  # formats that are read with the images inside only
_BOXES_ONLY = ("coco", "voc", "yolo", "yolov5", "tfrecord-csv", "box-lines")
_IMAGE_FOLDERS = {"voc": voc.IMAGES}
_NAMED_WITH_FOLDER = ("text", "box-lines")  # formats whose names of images start from the file
_SUFFIXES = {"coco": "json", "csv": "csv", "cvat": "xml"}


@dataclass(frozen=True)
class Exported:
    """One split that was written."""

    split: str  # empty for a set without splits
    path: Path  # the file, or the folder
    images: int
    boxes: int
    labels: int
    turned: int  # images whose EXIF orientation turns them


@dataclass(frozen=True)
class DatasetExport:
    """Writes one format."""

    format: str
    out: Path  # a folder that is new or empty
    handling: Handling | None = None  # of the images; None: linked where the format needs them inside, else left

    def write(self, paths: Mapping[str, Path], name: str, splits: Sequence[str] = ()) -> list[Exported]:
        """Writes the splits, all without `splits`, each to a folder of its name; all of them or none.

        Raises InvalidInput for a split that is not there and for a folder that is not empty, DataError for a kind of
        data that the format has no place for and for whatever a reader refuses or that cannot be written.
        """
        wanted = list(splits or paths)
        for split in wanted:
            if split not in paths:
                raise InvalidInput(name, [Problem("--split", f"{split!r} is not there; it has {', '.join(paths)}")])
        lists = read_splits({split: path for split, path in paths.items() if split in {"train", *wanted}}, name)
        for split in wanted:
            self._check_kind(lists[split])
        with new_folder(self.out) as folder:
            done = [self._write_split(lists[split], split, folder) for split in wanted]
            self._write_shared(lists[wanted[0]].classes, wanted, folder)
        return done

    def write_one(self, path: Path) -> Exported:
        """Writes the set at `path`, of any format that is read, into the folder itself. Raises as `write` does."""
        images = read_splits({"train": path})["train"]
        self._check_kind(images)
        with new_folder(self.out) as folder:
            return self._write_split(images, "", folder)

    def _check_kind(self, images: ImageList) -> None:
        if images.kind != "detection" and self.format in _BOXES_ONLY:
            raise DataError(
                f"{images.name} has classes of whole images, and {self.format} boxes only. Choose csv, text or cvat."
            )
        if images.kind == "multilabel" and self.format == "csv":
            raise DataError(f"{images.name} has several classes for an image, and csv one. Choose text or cvat.")

    def _write_split(self, images: ImageList, split: str, folder: Path) -> Exported:
        """`folder`: where all is written before it becomes `out`."""
        target = folder / split
        target.mkdir(exist_ok=True)
        handling = self.handling or ("link" if self.format in _NEED_IMAGES else "leave")
        inside = _IMAGE_FOLDERS.get(self.format, "images")
        exported = ExportedImages(images, self.out / split, cvat_names=self.format == "cvat")
        counting = _Counting()
        entries = counting.all(self._entries(images, exported, handling, inside))
        path = target if self.format in (*FOLDERS, *ONE_WAY) else target / f"annotations.{_SUFFIXES[self.format]}"
        write_annotations(self.format, entries, images.classes, path)
        if handling != "leave":
            exported.place(target / inside, copy=handling == "copy")
        shown = self.out / path.relative_to(folder)
        counts = counting.counts
        return Exported(split, shown, counts["images"], counts["boxes"], counts["labels"], counts["turned"])

    def _entries(
        self, images: ImageList, exported: ExportedImages, handling: Handling, inside: str
    ) -> Iterator[tuple[AnnotatedImage, bool]]:
        """Each image as the format has it, and whether it is turned."""
        for index, (image, stored) in enumerate(annotated_images(images)):
            if not image.width:
                raise DataError(f"the image {images.location(index)} cannot be read. Replace it, or remove its line.")
            if handling != "leave":
                prefix = f"{inside}/" if self.format in _NAMED_WITH_FOLDER else ""
                path = prefix + exported.name(index)
            else:
                path = exported.name(index) if self.format == "cvat" else exported.relative(index)
            shown = image if self.format in _UPRIGHT else as_stored(image, stored)
            yield replace(shown, path=path), stored.orientation != 1

    def _write_shared(self, classes: Sequence[str], splits: Sequence[str], folder: Path) -> None:
        """Writes what belongs to all splits."""
        if self.format == "yolo":
            sources = {split: f"{split}/{yolo.IMAGES}" for split in splits}
            (folder / "data.yaml").write_text(yolo.data_yaml(sources, classes), encoding="utf-8")
        elif self.format == "yolov5":
            sources = {split: f"{split}/{yolo.IMAGES}" for split in splits}
            (folder / "dataset.yaml").write_text(yolov5.dataset_yaml(sources, classes), encoding="utf-8")
        elif self.format == "voc":  # where the reader of a folder looks for it
            (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")


@dataclass
class _Counting:
    counts: Counter[str] = field(default_factory=Counter)

    def all(self, entries: Iterator[tuple[AnnotatedImage, bool]]) -> Iterator[AnnotatedImage]:
        for image, turned in entries:
            self.counts.update(images=1, boxes=len(image.boxes), labels=len(image.labels), turned=int(turned))
            yield image

"""The images of a CVAT file: where they are, and which of them a video's frames are."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.cvat.cvat_document import CvatDocument
from mitorch_service.training.data.formats.folder_tree import files_below
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.data.left_out import LeftOut
from mitorch_service.training.data.regular_files import is_file, is_folder, open_binary
from mitorch_service.training.data.zip_index import ZipFiles

_FRAME = re.compile(r"(?:.*/)?frame_(\d{6,9})\.\w+", re.ASCII)  # as CVAT names those of a video
_SUBSET = "{subset}"
_NO_SUBSET = "default"


@dataclass
class CvatImages:
    """The images in their order."""

    folder: Path  # what the names are relative to
    names: PackedStrings
    sizes: Sequence[float] = ()  # width and height of each as it is to be seen, 0: unknown; or empty
    frames: dict[int, int] = field(default_factory=dict)  # of a video: the number of the image of each frame

    @classmethod
    def find(cls, path: Path, is_archive: bool, document: CvatDocument, name: str) -> CvatImages:
        """Finds them in the archive `path`, or else in the folders beside it. Raises DataError for two images of one
        name, and for frames that are not there."""
        if document.is_video:
            return _find_frames(path, is_archive, document, name)
        subsets = document.subsets or [""] * len(document.images)
        names = PackedStrings()
        folder, prefix = _place(path, is_archive, document.images, subsets[:1])
        seen: set[int] = set()  # hashes, which take less than the names
        for image, subset in zip(document.images, subsets, strict=True):
            full = prefix.replace(_SUBSET, subset or _NO_SUBSET) + image
            if hash(full) in seen:
                raise DataError(
                    f"{name}: two images have the name {excerpt(image)}. Give each its own, or export task by task."
                )
            seen.add(hash(full))
            names.append(full)
        return cls(folder, names, document.sizes)

    def size(self, number: int) -> tuple[float, float] | None:
        """Width and height of an image as it is to be seen, if the file states them."""
        width, height = self.sizes[2 * number : 2 * number + 2] or (0, 0)
        return (width, height) if width and height else None

    def of_frame(self, frame: int) -> int:
        """The number of the image of a frame."""
        return self.frames[frame]


def _place(path: Path, is_archive: bool, images: PackedStrings, subset: Sequence[str]) -> tuple[Path, str]:
    """The folder that the names are relative to, and what comes before each name; ``{subset}`` is the image's own."""
    first = images[0] if len(images) else ""
    prefixes = [f"images/{_SUBSET}/", "images/", "", f"{_SUBSET}/"]
    one = (subset[0] if subset else "") or _NO_SUBSET
    tried = [prefix.replace(_SUBSET, one) + first for prefix in prefixes]
    if is_archive:
        try:
            found = ZipFiles().at(path).has(tried)
        except (OSError, zipfile.BadZipFile):  # it has no images, so far as can be seen
            found = []
        for prefix, there in zip(prefixes, found, strict=False):
            if there:
                return path.parent, f"{path.name}@{prefix}"
    for prefix, image in zip(prefixes, tried, strict=True):
        if is_file(path.parent / image):
            return path.parent, prefix
    return path.parent, ""


def _find_frames(path: Path, is_archive: bool, document: CvatDocument, name: str) -> CvatImages:
    """Finds the frames of a video: the files that are there, or else the names that CVAT would give them."""
    found = sorted(_frame_files(path, is_archive))
    if not found:
        numbers = document.meta.numbers or sorted(set(document.tracked.owners))
        found = [(number, f"images/frame_{number:06d}.PNG") for number in numbers]
    images = CvatImages(path.parent, PackedStrings(file for _, file in found))
    images.frames = {frame: number for number, (frame, _) in enumerate(found)}
    for frame, line in zip(document.tracked.owners, document.tracked.lines, strict=True):
        if frame not in images.frames:
            raise DataError(
                f"{name}, line {line}: there is no image of frame {frame}, such as frame_{frame:06d}.PNG. Export the "
                "task with its images, or as 'CVAT for images 1.1'."
            )
    return images


def _frame_files(path: Path, is_archive: bool) -> Iterator[tuple[int, str]]:
    """The number and the name of each frame's file."""
    if is_archive:
        yield from _frames_of((entry, f"{path.name}@{entry}") for entry in _entries(path) if has_image_suffix(entry))
        return
    for folder in ("images", "."):
        if is_folder(path.parent / folder):
            files = filter(has_image_suffix, files_below(path.parent / folder, LeftOut("")))
            found = list(_frames_of((file, file if folder == "." else f"{folder}/{file}") for file in files))
            yield from found
            if found:
                return


def _frames_of(files: Iterator[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    for file, name in files:
        if match := _FRAME.fullmatch(file):
            yield int(match[1]), name


def _entries(path: Path) -> list[str]:
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []

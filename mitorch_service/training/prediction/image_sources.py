"""Finds the images that people name: files, folders, entries of archives, data sets of any format."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.formats.coco import read_coco_images
from mitorch_service.training.data.formats.folder_tree import files_below
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.formats.text import image_names
from mitorch_service.training.data.formats.voc.voc import find_voc
from mitorch_service.training.data.image_list import ImageList, PackedStrings, split_entry
from mitorch_service.training.data.left_out import NO_IMAGE, LeftOut
from mitorch_service.training.data.regular_files import is_file, is_folder

_DATA_SETS = (".json", ".csv", ".txt", ".xml", ".yaml", ".yml", ".data")


def find_images(source: str) -> Iterator[str]:
    """Yields the path (``archive.zip@entry``) of each image that `source` names.

    An image file, or ``archive.zip@entry``: itself, whatever is in it. A folder: all images in it and below, by their
    extensions. A zip archive: all its images. A file of a data set: the images that it lists, whether or not they exist
    and are labelled. Raises DataError if there is no such file, or it names no image.
    """
    path, entry = split_entry(source)
    if entry is not None:
        yield source
    elif is_folder(source):
        yield from _of_folder(Path(source))
    elif not is_file(path):
        raise DataError(f"{source}: there is no such file or folder. Check the path.")
    elif Path(source).suffix.lower() == ".zip":
        yield from _of_archive(source)
    elif Path(source).suffix.lower() in _DATA_SETS:
        yield from images_of_data_set(Path(source))
    else:
        yield source


def images_of_data_set(path: Path, split: str = "val") -> Iterator[str]:
    """Yields the path of each image of a data set of any format, of which no labels are needed where the format allows
    it. `split` is the one to read of a file that describes several. Raises DataError."""
    if path.suffix.lower() == ".json":
        yield from _of_list(read_coco_images(path))
    elif path.suffix.lower() == ".txt" and find_voc(path) is None:
        yield from (_joined(path.parent, name) for name in image_names(path))
    else:
        yield from _of_list(read_image_list(path, split=split))


def without_repetition(paths: Iterable[str]) -> PackedStrings:
    """Packs the paths, each once, in their order."""
    return PackedStrings(dict.fromkeys(paths))


def _of_folder(folder: Path) -> Iterator[str]:
    left_out = LeftOut(str(folder))
    found = False
    for name in files_below(folder, left_out):
        if has_image_suffix(name):
            found = True
            yield str(folder / name)
        else:
            left_out.add(NO_IMAGE, name)
    if not found and find_voc(folder) is not None:  # the XML files alone, with their images elsewhere
        yield from _of_list(read_image_list(folder))
    elif not found:
        raise DataError(f"{folder}: the folder holds no image, at any depth.")
    else:
        left_out.log()


def _of_archive(path: str) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if has_image_suffix(name) and not name.startswith("__MACOSX/")]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: the zip file cannot be read ({error}).") from error
    if not names:
        raise DataError(f"{path}: the zip file holds no image.")
    yield from (f"{path}@{name}" for name in names)


def _of_list(images: ImageList) -> Iterator[str]:
    return (_joined(images.folder, name) for name in images.images)


def _joined(folder: Path, name: str) -> str:
    """Returns the path of an image, whose entry in an archive stays as it is written."""
    path, entry = split_entry(name)
    return str(folder / path) if entry is None else f"{folder / path}@{entry}"

"""Whether the files that a data set names are there: asked before a training starts, not an hour into it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, split_entry
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call, results


def check_files(image_list: ImageList) -> None:
    """Raises DataError with the number and the first three names of images that are missing.

    Opens each zip file, to read its directory. Decodes no image: a damaged one is found when it is loaded.
    """
    missing = list(chain.from_iterable(results(_calls(image_list))))
    if missing:
        names = ", ".join(missing[:3]) + ", …" * (len(missing) > 3)
        raise DataError(
            f"{image_list.name}: {len(missing)} of {len(image_list)} images are missing: {names} "
            f"(looked for in {image_list.folder}). Put the files there, or remove the lines."
        )


def _calls(image_list: ImageList) -> Iterator[Call[Iterable[str]]]:
    """Calls that give the names of missing images."""
    folder, names = os.fspath(image_list.folder), iter(image_list.images)
    while part := list(islice(names, FILES_PER_CALL)):
        if any("@" in name for name in part):  # an archive, whose directory is read once: here
            yield Call(_missing, (image_list, folder, part), here=True)
        else:
            yield Call(_missing_files, (folder, part))


def _missing_files(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if not _is_file(folder, name)]


def _missing(image_list: ImageList, folder: str, names: Sequence[str]) -> list[str]:
    there: dict[str, bool] = {}
    in_archives: dict[str, dict[str, str]] = {}  # by archive, the name of each entry
    for name in names:
        path, entry = split_entry(name)
        if entry is None:
            there[name] = _is_file(folder, name)
        else:
            in_archives.setdefault(path, {})[entry] = name
    for path, entries in in_archives.items():
        there |= zip(entries.values(), _has(image_list, _path(folder, path), list(entries)), strict=True)
    return [name for name in names if not there[name]]


def _is_file(folder: str, name: str) -> bool:
    path = _path(folder, name)
    suffix = "." in path[-5:-2]  # then taken for a file, or a folder that loading will name: asking costs thrice
    return os.access(path, os.F_OK) and (suffix or os.path.isfile(path))  # noqa: PTH113


def _path(folder: str, name: str) -> str:
    return name if name.startswith("/") else f"{folder}/{name}"  # a Path for each of a million costs seconds


def _has(image_list: ImageList, path: str, entries: Sequence[str]) -> list[bool]:
    try:
        return image_list.archives.at(path).has(entries)
    except FileNotFoundError:
        raise DataError(f"{image_list.name}: the zip file {path} is missing. Put it beside the text file.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{image_list.name}: the zip file {path} cannot be read ({error}). Write it again.") from error

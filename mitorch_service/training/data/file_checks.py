"""Checks before a training starts, not an hour into it, that the files a data set names exist."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, split_entry
from mitorch_service.training.data.parallel_readers import FILES_PER_CALL, Call, results
from mitorch_service.wording.counted import are, counted


def check_files(images: ImageList) -> None:
    """Raises DataError with the number and the first three names of missing images, and for an unreadable zip archive.

    Reads the directory of each archive but decodes no image: a damaged one is found when it is loaded.
    """
    missing = list(chain.from_iterable(results(_calls(images))))
    if missing:
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise DataError(
            f"{images.name}: {len(missing)} of {counted(len(images), 'image')} {are(len(missing))} missing: {names} "
            f"(looked for in {images.folder}). Put the files there, or remove the lines."
        )


def _calls(images: ImageList) -> Iterator[Call[Iterable[str]]]:
    """Calls that return the names of missing images."""
    folder, names = os.fspath(images.folder), iter(images.images)
    while part := list(islice(names, FILES_PER_CALL)):
        if any("@" in name for name in part):  # an archive: its directory is read once, in this process
            yield Call(_missing, (images, folder, part), here=True)
        else:
            yield Call(_missing_files, (folder, part))


def _missing_files(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if not _is_file(folder, name)]


def _missing(images: ImageList, folder: str, names: Sequence[str]) -> list[str]:
    """The missing ones of plain files and archive entries; the entries of one archive are looked up together."""
    found: dict[str, bool] = {}
    names_by_entry: dict[str, dict[str, str]] = {}  # of each archive
    for name in names:
        path, entry = split_entry(name)
        if entry is None:
            found[name] = _is_file(folder, name)
        else:
            names_by_entry.setdefault(path, {})[entry] = name
    for path, entries in names_by_entry.items():
        found |= zip(entries.values(), _has_entries(images, _join(folder, path), list(entries)), strict=True)
    return [name for name in names if not found[name]]


def _is_file(folder: str, name: str) -> bool:
    path = _join(folder, name)
    if "\0" in name:
        return False
    has_suffix = "." in path[-5:-2]  # then it is taken for a file: telling it from a folder takes three times as long
    return os.access(path, os.F_OK) and (has_suffix or os.path.isfile(path))  # noqa: PTH113


def _join(folder: str, name: str) -> str:
    return name if name.startswith("/") else f"{folder}/{name}"  # a Path for each of a million costs seconds


def _has_entries(images: ImageList, path: str, entries: Sequence[str]) -> list[bool]:
    try:
        return images.archives.at(path).has(entries)
    except FileNotFoundError:
        raise DataError(f"{images.name}: the zip file {path} is missing. Put it beside the text file.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{images.name}: the zip file {path} cannot be read ({error}). Write it again.") from error

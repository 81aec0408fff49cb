"""Whether the files that a data set names are there: asked before a training starts, not an hour into it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageList


def check_files(image_list: ImageList) -> None:
    """Raises DataError with the number and the first three names of images that are missing.

    Opens each zip file once, to read its directory. Decodes no image: a damaged one is found when it is
    loaded.
    """
    entries: dict[Path, set[str]] = {}
    missing = [name for index, name in enumerate(image_list.images) if not _is_there(image_list, index, entries)]
    if missing:
        names = ", ".join(missing[:3]) + ", …" * (len(missing) > 3)
        raise DataError(
            f"{image_list.name}: {len(missing)} of {len(image_list)} images are missing: {names} "
            f"(looked for in {image_list.folder}). Put the files there, or remove the lines."
        )


def _is_there(image_list: ImageList, index: int, entries: dict[Path, set[str]]) -> bool:
    location = image_list.location(index)
    if location.entry is None:
        return location.path.is_file()
    if location.path not in entries:
        entries[location.path] = _entries(location.path, image_list.name)
    return location.entry in entries[location.path]


def _entries(path: Path, name: str) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except FileNotFoundError:
        raise DataError(f"{name}: the zip file {path} is missing. Put it beside the text file.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{name}: the zip file {path} cannot be read ({error}). Write it again.") from error

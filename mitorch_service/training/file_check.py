"""Whether the files that a data set names are there: asked before a training starts, not an hour into it."""

from __future__ import annotations

import os
import zipfile

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageList, split_entry


def check_files(image_list: ImageList) -> None:
    """Raises DataError with the number and the first three names of images that are missing.

    Opens each zip file, to read its directory. Decodes no image: a damaged one is found when it is loaded.
    """
    folder = os.fspath(image_list.folder)
    missing = [name for name in image_list.images if not _is_there(name, folder, image_list)]
    if missing:
        names = ", ".join(missing[:3]) + ", …" * (len(missing) > 3)
        raise DataError(
            f"{image_list.name}: {len(missing)} of {len(image_list)} images are missing: {names} "
            f"(looked for in {image_list.folder}). Put the files there, or remove the lines."
        )


def _is_there(text: str, folder: str, image_list: ImageList) -> bool:
    name, entry = split_entry(text)
    path = name if name.startswith("/") else f"{folder}/{name}"  # a Path for each of a million costs seconds
    if entry is None:
        suffix = "." in path[-5:-2]  # then taken for a file, or a folder that loading will name: asking costs thrice
        return os.access(path, os.F_OK) and (suffix or os.path.isfile(path))  # noqa: PTH113
    try:
        return entry in image_list.archives.at(path)
    except FileNotFoundError:
        raise DataError(f"{image_list.name}: the zip file {path} is missing. Put it beside the text file.") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{image_list.name}: the zip file {path} cannot be read ({error}). Write it again.") from error

"""The images of an exported data set: their names in it, and links to them or copies of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, ImageLocation

_CVAT_FOLDER = "images/"  # of the images in what CVAT exports


class ExportedImages:
    """Names images as short as they stay different: without the folders that all of them are in."""

    def __init__(self, images: ImageList, out: Path, *, cvat_names: bool) -> None:
        """`out`: the folder of the file that will name them. `cvat_names`: those of the images in a task of CVAT, which
        are the same wherever the files are."""
        self._images = images
        self._out = os.path.abspath(out)  # noqa: PTH100 - no links are followed
        self._cvat_names = cvat_names
        self._common = "" if cvat_names else self._common_folder()

    def name(self, index: int) -> str:
        """The name of an image inside the exported folder. Raises DataError for an entry that would leave it."""
        if not self._cvat_names:
            self._check_entry(index)
            return self._full(index)[len(self._common) :].lstrip("/")
        location = self._images.location(index)
        name = location.entry if location.entry is not None else self._images.images[index]
        return os.path.normpath(name).lstrip("/").replace("../", "").removeprefix(_CVAT_FOLDER)

    def relative(self, index: int) -> str:
        """The path of an image where it is, from the exported folder on."""
        location = self._images.location(index)
        path = os.path.relpath(location.path.absolute(), self._out)
        return str(ImageLocation(Path(path), location.entry))

    def place(self, folder: Path, *, copy: bool) -> None:
        """Puts links to the images into the folder, or copies; entries of archives are always copied. Raises OSError,
        BadZipFile, KeyError."""
        for index in range(len(self._images)):
            location, target = self._images.location(index), folder / self.name(index)
            if target.exists():  # listed twice
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if location.entry is not None:
                target.write_bytes(self._images.archives.read(location.path, location.entry))
            elif copy:
                shutil.copyfile(location.path, target)
            else:
                target.symlink_to(location.path.absolute())

    def _check_entry(self, index: int) -> None:
        location = self._images.location(index)
        if location.entry is not None and ".." in location.entry.split("/"):
            raise DataError(f"{location}: the entry's name leads out of the archive. Rename it there, or unpack it.")

    def _common_folder(self) -> str:
        """The folder that all images are in, with a slash at its end."""
        common = os.path.dirname(self._full(0)) if len(self._images) else ""  # noqa: PTH120 - speed
        for index in range(len(self._images)):
            while not self._full(index).startswith(f"{common}/") and common:
                common = common.rpartition("/")[0]
        return f"{common}/"

    def _full(self, index: int) -> str:
        location = self._images.location(index)
        path = os.path.normpath(os.path.abspath(location.path))  # noqa: PTH100 - speed
        return path if location.entry is None else f"{path}/{location.entry}"

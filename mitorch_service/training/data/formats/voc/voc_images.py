"""The images of a Pascal VOC set, as its XML files name them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from mitorch_service.training.data.formats.folder_tree import files_below
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.left_out import LeftOut
from mitorch_service.training.data.regular_files import is_file, is_folder


class ImageNames:
    """The image files of one folder. Tools omit the extension in ``<filename>``, or keep the name before a renaming."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, image: str, xml: str) -> str:
        """The file that the XML file `xml` names `image`, relative to the folder.

        Looked for in the folder of the same name as the XML file's, then in the whole one, then by the XML file's own
        name; the name itself if there is none.
        """
        parent, stem = os.path.split(os.path.splitext(xml)[0])  # noqa: PTH122 - speed
        deep = f"{parent}/{image}" if parent else image
        for one in dict.fromkeys((deep, image)):
            if is_file(self.folder / one):
                return one
        return self._by_stem.get(os.path.join(parent, stem)) or self._by_stem.get(stem, deep)  # noqa: PTH118 - speed

    def all(self) -> Iterator[str]:
        """All images there, relative to the folder."""
        if is_folder(self.folder):
            yield from filter(has_image_suffix, files_below(self.folder, LeftOut("")))

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return {os.path.splitext(file)[0]: file for file in self.all()}  # noqa: PTH122 - speed

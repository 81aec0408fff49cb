"""Image file extensions, and the folder where a format that names images without one keeps them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mitorch_service.training.data.regular_files import is_file

_IMAGE = re.compile(
    r"\.(avif|bmp|dds|dib|gif|j2k|jfif|jp2|jpe|jpeg|jpg|jpx|mpo|pbm|pcx|pfm|pgm|png|pnm|ppm|psd|qoi|sgi|tga|tif|tiff|webp)\Z",
    re.IGNORECASE,
)


def has_image_suffix(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return _IMAGE.search(name) is not None


def first_folder_with(image: str, folders: Sequence[Path]) -> Path:
    """The first folder that has this image; if none has it, the first."""
    return next((folder for folder in folders if is_file(folder / image)), folders[0])

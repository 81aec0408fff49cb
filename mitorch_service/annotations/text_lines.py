"""Lines of the text format and of ``labels.txt``, which have no quotes or escapes for what would end them."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.errors import DataError


def class_list_text(classes: Sequence[str]) -> str:
    """The content of a ``labels.txt``: a name a line. Raises DataError for a name that a reader would get otherwise:
    with a line break in it, all later ids would be those of other classes."""
    for name in classes:
        if not name or name != name.strip() or name.startswith("\ufeff") or "\n" in name or "\r" in name:
            problem = "is empty, has a line break, or white space at an end"
            raise DataError(f"the class {name!r} {problem}, which labels.txt cannot hold. Rename it.")
    return "".join(f"{name}\n" for name in classes)


def check_listed(image: str) -> None:
    """Raises DataError for the path of an image that no line of the text format can hold."""
    if "\n" in image or "\r" in image or '"' in image:
        problem = "has a line break or a double quote in its name, which the text format cannot hold"
        raise DataError(f"the image {image!r} {problem}. Rename the file.")

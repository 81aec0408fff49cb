"""Finds the images that a table of labels names, in the folders of an image set."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from mitorch_service.interop.azureml_datasets.definition import AssetPlace


@dataclass
class ImageNames:
    """The blobs of an image set, in one datastore."""

    datastore: str
    names: set[str] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)  # from which `image_url` may be counted

    def add(self, place: AssetPlace, names: Iterable[str]) -> None:
        """Adds those of the names that the place means."""
        self.names.update(matching(place, names))
        steps = place.folder.split("/")
        self.folders += ["/".join(steps[:end]) for end in range(len(steps), 0, -1)]

    def find(self, image_url: str, datastore_names: Sequence[str]) -> str | None:
        """Returns the blob that an `image_url` means: a path in the container, or from one of the folders above the
        images; with or without the name of the datastore before it, as the folder of a mounted set has it."""
        for shown in _spellings(image_url, datastore_names):
            for folder in ("", *self.folders):
                path = posixpath.join(folder, shown)
                if path in self.names:
                    return path
        return None


def matching(place: AssetPlace, names: Iterable[str]) -> Iterator[str]:
    """Yields the names that are the place's file, are below its folder, or match its pattern."""
    below = f"{place.path}/" if place.path else ""
    for name in names:
        if name == place.path or name.startswith(below) or _matches(name, place.path):
            yield name


def _matches(name: str, pattern: str) -> bool:
    """Whether a name matches, where ``**`` goes through folders and ``*`` stays in one."""
    if "**" in pattern:
        return fnmatchcase(name, pattern.replace("/**/", "/*").replace("**", "*"))
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _spellings(image_url: str, datastore_names: Sequence[str]) -> Iterator[str]:
    plain = image_url.strip("/")
    yield plain
    for name in datastore_names:
        if plain.startswith(f"{name}/"):
            yield plain[len(name) + 1 :]


def relative_paths(images: Mapping[str, object], folder: str) -> dict[str, str]:
    """The path of each blob from a file in `folder` of the same container."""
    return {name: posixpath.relpath(name, folder) for name in images}

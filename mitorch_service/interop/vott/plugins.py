"""Finds what a message's ``plugin_name`` stands for: a plugin of the user's, or one of our networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.vott.message import SOURCE
from mitorch_service.training.networks.detectors.detector_names import parse_detector
from mitorch_service.wording.suggestion import did_you_mean

GROUP = "mitorch_service.vott_plugins"  # of entry points: NAME = "package.module:function"
PROGRAM = "plugin.py"
NETWORKS = {
    "retinanet": "resnet50-fpn_v2-retinanet",
    "fasterrcnn": "resnet50-fpn_v2-fasterrcnn",
    "fcos": "resnet50-fpn-fcos",
    "ssd": "vgg16-ssd",
    "ssdlite": "mobilenet_v3_large-ssdlite",
}
_SPELLINGS = {"faster-rcnn": "fasterrcnn", "faster_rcnn": "fasterrcnn", "keras-retinanet": "retinanet"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # no folder above, no hidden one


@dataclass(frozen=True)
class FolderPlugin:
    """A folder with ``plugin.py``, which is queued as a script."""

    name: str
    folder: Path


@dataclass(frozen=True)
class InstalledPlugin:
    """A function that an installed package offers, which is queued as a script."""

    name: str


@dataclass(frozen=True)
class Network:
    """One of our detectors."""

    name: str  # as messages call it
    model: str


Plugin = FolderPlugin | InstalledPlugin | Network


class Plugins:
    """The plugins below some folders, those of installed packages, and our networks; the first that has the name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def find(self, name: str) -> Plugin:
        """Returns the plugin. Raises InvalidInput with the names that there are."""
        if _NAME.fullmatch(name):
            for folder in self._folders:
                if (folder / name / PROGRAM).is_file():
                    return FolderPlugin(name, folder / name)
            if name in _installed():
                return InstalledPlugin(name)
            known = _SPELLINGS.get(name.lower(), name.lower())
            model = NETWORKS.get(known, name)
            if parse_detector(model) is not None:
                return Network(name, model)
        names = self.names()
        where = ", ".join(str(folder / "NAME" / PROGRAM) for folder in self._folders)
        problem = f"{name!r:.120} is not known; {did_you_mean(name, names)}there are: {', '.join(names)}, and {where}"
        raise InvalidInput(SOURCE, [Problem("plugin_name", problem)])

    def names(self) -> list[str]:
        """Returns the names of all plugins, without the networks' longer ones."""
        found = {path.parent.name for folder in self._folders for path in folder.glob(f"*/{PROGRAM}")}
        return sorted(found | set(_installed()) | set(NETWORKS))


def _installed() -> list[str]:
    return [point.name for point in entry_points(group=GROUP)]

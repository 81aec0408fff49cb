"""The <meta> of a CVAT XML file: the labels and the frames of its task, job or project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_FRAMES = ("start_frame", "stop_frame", "frame_filter")


@dataclass
class CvatMeta:
    """Collects what is read of it."""

    labels: list[str] = field(default_factory=list)  # whether they are used or not; not those of a skeleton's points
    frames: dict[str, str] = field(default_factory=dict)
    _label: str = ""  # the open one
    _is_part: bool = False  # it is a part of another

    def take(self, path: Sequence[str], text: str) -> None:
        """Takes the end of an element. `path`: the tags from <annotations> to its own."""
        if path[-3:] == ["labels", "label", "name"]:
            self._label = text
        elif path[-3:] == ["labels", "label", "parent"]:
            self._is_part = bool(text)
        elif path[-2:] == ["labels", "label"]:
            if self._label and not self._is_part and self._label not in self.labels:
                self.labels.append(self._label)
            self._label, self._is_part = "", False
        elif path[-1] in _FRAMES and len(path) == 4:
            self.frames[path[-1]] = text

    @property
    def step(self) -> int:
        """The distance between two frames, which ``step=5`` in the filter says."""
        return _number(self.frames.get("frame_filter", "").partition("step=")[2]) or 1

    @property
    def numbers(self) -> range:
        """The numbers of the frames; empty if it does not say."""
        first, last = (_number(self.frames.get(one, "")) for one in _FRAMES[:2])
        return range(0) if first is None or last is None else range(first, last + 1, self.step)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else None

"""Guesses which images are frames of one recording, by the names of their files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

# A frame's number at the end of a name, with the word or mark before it: GH020068_frame_000123, clip-12.
_FRAME = re.compile(r"(?P<recording>.*?)[-_. ]*(?:frame|frm|img|image|f)?[-_. ]*(?P<number>\d+)", re.IGNORECASE)
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing", "images", "data"))
_LEAST_FRAMES = 2  # of a recording, on average
_NEARLY = 0.8


@dataclass(frozen=True)
class Recordings:
    """The recording of each image, and how it was found."""

    of_image: Sequence[str]  # empty: of none
    rule: str


def guess_recordings(names: Sequence[str], classes: Sequence[object]) -> Recordings | None:
    """The part of each name before its last number or, where the names are numbers alone, the folder; None if that
    looks like no recordings: one for all images, one for (nearly) each, or one for each class.

    `names`: as data sets write them. `classes`: what each image shows.
    """
    split = [_split(name) for name in names]
    by_name = Recordings([name for _, name in split], "the name before its last number")
    by_folder = Recordings([folder for folder, _ in split], "the folder")
    return next((one for one in (by_name, by_folder) if _is_likely(one.of_image, classes)), None)


def _split(name: str) -> tuple[str, str]:
    """The folder without those that name a split, and the name before the frame's number."""
    path = PurePosixPath(name.replace(".zip@", "/"))
    folders = [part for part in path.parts[:-1] if part.lower() not in _SPLITS and part != "/"]
    match = _FRAME.fullmatch(path.stem)
    return "/".join(folders), match["recording"] if match else ""


def _is_likely(found: Sequence[str], classes: Sequence[object]) -> bool:
    named = [one for one in found if one]
    if len(named) * 2 < len(found):
        return False
    recordings = Counter(named)
    if len(recordings) < 2 or len(named) < _LEAST_FRAMES * len(recordings):
        return False
    return any(char.isdigit() for one in recordings for char in one) and not _are_classes(found, classes)


def _are_classes(found: Sequence[str], classes: Sequence[object]) -> bool:
    """Whether most classes have nearly all of their images in one recording that shows little else."""
    pairs = Counter((one, str(shown)) for one, shown in zip(found, classes, strict=True) if one)
    recordings, shown_in_all = Counter(found), Counter(map(str, classes))
    own = [
        shown for (one, shown), count in pairs.items() if count > _NEARLY * max(recordings[one], shown_in_all[shown])
    ]
    return len(own) * 2 > len(shown_in_all)

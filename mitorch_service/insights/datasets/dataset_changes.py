"""The differences between two versions of a data set, by the counts of their registration. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.models.dataset import Dataset, SplitContents

MOST_CLASSES = 30


@dataclass(frozen=True)
class ClassChange:
    """A class whose count differs. 0: the version has no such class, or no image of it."""

    split: str
    name: str
    before: int
    after: int

    @property
    def difference(self) -> int:
        return self.after - self.before


@dataclass(frozen=True)
class SplitChange:
    """A split whose number of images differs; None: there is no such split, or it was not read."""

    split: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Changes:
    """Differences since another version."""

    since: int  # its version
    splits: Sequence[SplitChange]
    classes: Sequence[ClassChange]  # the largest differences first, at most MOST_CLASSES
    more: int  # further classes
    is_known: bool  # False: one of them was not read at registration


def changes_between(before: Dataset, after: Dataset) -> Changes:
    """Compares the counts of two versions."""
    names = [name for name in ("train", "val", "test") if name in before.splits() or name in after.splits()]
    splits = [SplitChange(name, _images(before, name), _images(after, name)) for name in names]
    classes = [
        change for name in names for change in _classes(name, before.contents.get(name), after.contents.get(name))
    ]
    classes.sort(key=lambda change: (-abs(change.difference), change.split, change.name))
    known = bool(before.contents) and bool(after.contents)
    return Changes(
        before.version,
        [change for change in splits if change.before != change.after],
        classes[:MOST_CLASSES],
        max(0, len(classes) - MOST_CLASSES),
        known,
    )


def _images(dataset: Dataset, split: str) -> int | None:
    contents = dataset.contents.get(split)
    return contents.images if contents else None


def _classes(split: str, before: SplitContents | None, after: SplitContents | None) -> list[ClassChange]:
    if before is None or after is None:
        return []
    old = {one.name: one.count for one in before.counts}
    new = {one.name: one.count for one in after.counts}
    pairs = ((name, old.get(name, 0), new.get(name, 0)) for name in {**old, **new})
    return [ClassChange(split, name, one, other) for name, one, other in pairs if one != other]

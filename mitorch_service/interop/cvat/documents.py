"""Tasks, frames and shapes of a CVAT server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from mitorch_service.models.base import JsonObject


class JobState(NamedTuple):
    """A job of a task."""

    id: int
    stage: str  # annotation, validation, acceptance
    state: str  # new, in progress, rejected, completed
    updated_date: str


class Task(NamedTuple):
    """A task, as it was when it was looked up."""

    id: int
    name: str
    status: str  # annotation, validation, completed
    updated_date: str
    jobs: tuple[JobState, ...] = ()

    @property
    def revision(self) -> str:
        """Changes with whatever changes in the task or in its jobs."""
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:12]

    def to_document(self) -> JsonObject:
        """For the lineage of a data set."""
        jobs: list[JsonObject] = [
            {"id": one.id, "stage": one.stage, "state": one.state, "updated_date": one.updated_date}
            for one in self.jobs
        ]
        found: JsonObject = {"id": self.id, "name": self.name, "status": self.status, "updated_date": self.updated_date}
        return {**found, "jobs": [*jobs]}


class Frame(NamedTuple):
    """An image of a task."""

    number: int
    width: int  # pixels, upright
    height: int


class Tag(NamedTuple):
    """A class of a frame as a whole."""

    frame: int
    label_id: int


class Shape(NamedTuple):
    """A rectangle on a frame."""

    frame: int
    label_id: int
    points: tuple[float, ...]  # left, top, right, bottom in pixels, to a hundredth

    @classmethod
    def rounded(cls, frame: int, label_id: int, points: Iterable[float]) -> Shape:
        """The same position, however exactly it is given."""
        return cls(frame, label_id, tuple(round(float(one), 2) for one in points))

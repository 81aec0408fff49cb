"""Adds boxes to the tasks of a CVAT server: predictions, annotations of files, what people accepted elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.errors import CvatError
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.cvat.documents import Shape, Task
from mitorch_service.interop.cvat.pull import annotated_in, download, frame_name
from mitorch_service.interop.cvat.server import CvatServer
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.prediction.image_sources import find_images


@dataclass
class Pushed:
    """The boxes that were added to a task, and those that were not."""

    task: Task
    added: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # by reason


@dataclass(frozen=True)
class Rule:
    """The predictions that are worth a look."""

    threshold: float = 0.5  # scores above it
    iou: float = 0.1  # at most, to every box that is there


def add_predictions(
    server: CvatServer, task: Task, there: Sequence[AnnotatedImage], found: Iterable[AnnotatedImage], rule: Rule
) -> Pushed:
    """Adds predictions to a task, as `auto`. `there`: its images with all that is drawn on them; `found`: with the
    predictions; paths are the names of the task's frames. Raises CvatError."""
    drawn = {image.path: image.boxes for image in there}
    done = Pushed(task)
    wanted = _Wanted(server, task, done)
    for image in found:
        for box in image.boxes:
            if (box.score or 0) <= rule.threshold:
                done.left_out["of a lower score"] += 1
            elif any(iou(box, other) > rule.iou for other in drawn.get(image.path, ())):
                done.left_out["where a box is already"] += 1
            else:
                wanted.add(image.path, box)
    done.added = server.add_shapes(task, wanted.shapes, "auto")
    return done


def annotate(
    server: CvatServer,
    task: Task,
    predict: Callable[[Sequence[str]], Sequence[AnnotatedImage]],
    rule: Rule,
    folder: Path,
    access: FileAccess,
) -> Pushed:
    """Predicts on a task's own images, which are downloaded into `folder` if the task has changed, and adds what the
    rule lets pass. Raises CvatError, and what `predict` raises."""
    path, _ = download(server, task, folder, access)
    there = [image for image, _ in annotated_in(path)]
    if not any(image.boxes for image in there):  # else untagged images of a task with tags would be missing
        there = [AnnotatedImage(image, 0, 0) for image in find_images(str(path))]
    found = predict([image.path for image in there])
    return add_predictions(server, task, _by_frame(there), _by_frame(found), rule)


def _by_frame(images: Iterable[AnnotatedImage]) -> list[AnnotatedImage]:
    return [replace(image, path=frame_name(image.path)) for image in images]


def add_files(server: CvatServer, files: Sequence[Path]) -> list[Pushed]:
    """Adds the boxes of CVAT's XML files to the tasks that are called like the files, each box once. Raises CvatError,
    DataError; every file and task is looked at before anything is added."""
    jobs = []
    for file in files:
        (task,) = server.find_tasks([file.stem])
        done = Pushed(task)
        wanted = _Wanted(server, task, done)
        for image, _ in annotated_images(read_image_list(file), read_heads=False):
            name = image.path.removeprefix("images/")
            for box in image.boxes:
                wanted.add(name, box)
        jobs.append((done, wanted))
    for done, wanted in jobs:
        done.added = server.add_shapes(done.task, wanted.shapes, "manual")
        done.left_out["there already"] += len(wanted.shapes) - done.added
    return [done for done, _ in jobs]


def update_ground_truth(server: CvatServer, pattern: str, source: str) -> list[Pushed]:
    """Adds the boxes of tasks whose names contain `source` to the tasks whose names contain `pattern` and are the same
    otherwise; each box once. Raises CvatError, also if no two tasks match."""
    tasks = server.find_tasks([])
    truths = {_key(task.name, pattern): task for task in tasks if pattern in task.name and source not in task.name}
    sources = {task: _key(task.name, source) for task in tasks if source in task.name}
    pairs = [(truths[key], task) for task, key in sources.items() if key in truths]
    if not pairs:
        problem = f"no task with {source!r} in its name matches one with {pattern!r}"
        raise CvatError(server.url, problem, "The names must be the same but for these words.")
    return [_move(server, truth, task) for truth, task in pairs]


def _move(server: CvatServer, truth: Task, task: Task) -> Pushed:
    done = Pushed(truth)
    wanted = _Wanted(server, truth, done)
    names = {frame.number: name for name, frame in server.frames(task).items()}
    classes = {number: name for name, number in server.labels(task).items()}
    for shape in server.shapes(task):
        left, top, right, bottom = shape.points
        wanted.add(names.get(shape.frame, ""), Box(classes.get(shape.label_id, ""), left, top, right, bottom))
    done.added = server.add_shapes(truth, wanted.shapes, "manual")
    done.left_out["there already"] += len(wanted.shapes) - done.added
    return done


class _Wanted:
    """Translates boxes to a task's frames and labels; what it has none of is counted."""

    def __init__(self, server: CvatServer, task: Task, done: Pushed) -> None:
        self._frames = server.frames(task)
        self._labels = server.labels(task)
        self._done = done
        self.shapes: dict[Shape, float | None] = {}

    def add(self, image: str, box: Box) -> None:
        frame, label = self._frames.get(image), self._labels.get(box.class_name)
        if frame is None:
            self._done.left_out["of an image that the task does not have"] += 1
        elif label is None:
            self._done.left_out[f"of {box.class_name}, which is no label of the task"] += 1
        else:
            shape = Shape.rounded(frame.number, label, (box.left, box.top, box.right, box.bottom))
            self.shapes.setdefault(shape, box.score)


def iou(one: Box, other: Box) -> float:
    """The area that two boxes share, divided by the area that they cover together."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((box.right - box.left) * (box.bottom - box.top) for box in (one, other))
    return width * height / (sum(areas) - width * height)


def _key(name: str, word: str) -> str:
    """The rest of a task's name without the word, and without what held it together."""
    return re.sub(r"[\s_-]+", " ", name.replace(word, " ")).strip()

"""The names of the tasks. Imports no torch, because configs are checked where they are submitted."""

from __future__ import annotations

from mitorch_service.training.plugins import plugin_names
from mitorch_service.wording.suggestion import did_you_mean

TASKS_GROUP = "mitorch_service.tasks"  # entry points: subclasses of training.tasks.base.Task, created without arguments

_TASKS = "mitorch_service.training.tasks"
BUILT_IN = {
    "multiclass_classification": f"{_TASKS}.multiclass:MulticlassTask",
    "multilabel_classification": f"{_TASKS}.multilabel:MultilabelTask",
    "object_detection": f"{_TASKS}.detection:DetectionTask",
}


def task_names() -> tuple[str, ...]:
    """Returns the built-in names, then those of installed packages."""
    return (*BUILT_IN, *(name for name in plugin_names(TASKS_GROUP) if name not in BUILT_IN))


def unknown_task_problem(name: str) -> str | None:
    """Returns why this is not the name of a task, or None if it is."""
    known = task_names()
    if name in known:
        return None
    hint = did_you_mean(name, known)
    return f"{name!r} is not known; {hint}known: {', '.join(known)}"

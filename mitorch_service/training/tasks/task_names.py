"""Which tasks there are. Imports no torch: a config is checked where it is submitted."""

from __future__ import annotations

from mitorch_service.models.validation import nearest
from mitorch_service.training.plugins import plugin_names

TASKS_GROUP = "mitorch_service.tasks"  # entry points: classes of training.task.Task, made without arguments

_TASKS = "mitorch_service.training.tasks"
BUILT_IN = {
    "multiclass_classification": f"{_TASKS}.multiclass:MulticlassTask",
    "multilabel_classification": f"{_TASKS}.multilabel:MultilabelTask",
    "object_detection": f"{_TASKS}.detection:DetectionTask",
}


def task_names() -> tuple[str, ...]:
    """Ours, then those of installed packages."""
    return (*BUILT_IN, *(name for name in plugin_names(TASKS_GROUP) if name not in BUILT_IN))


def unknown_task_problem(name: str) -> str | None:
    """Why there is no task of this name, or None if there is."""
    known = task_names()
    if name in known:
        return None
    near = nearest(name, known)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{name!r} is not known; {hint}known: {', '.join(known)}"

"""Extensions by other installed packages, through entry points in their pyproject.toml::

[project.entry-points."mitorch_service.models"]
my_model = "my_package.models:build_my_model"   # (ModelConfig, number of classes) -> nn.Module or Network

[project.entry-points."mitorch_service.tasks"]
my_task = "my_package.tasks:MyTask"             # a subclass of training.tasks.base.Task

[project.entry-points."mitorch_service.augmentations"]
my_step = "my_package.steps:build_my_step"      # (options, input size) -> a transform of torchvision's v2
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mitorch_service.errors import ModelError


def plugin_names(group: str) -> tuple[str, ...]:
    """Returns the names registered in the group, sorted. Imports none of the packages."""
    return tuple(sorted(_plugins(group)))


def load_plugin(group: str, name: str) -> Any:
    """Imports the object registered under this name. Raises ModelError if that fails."""
    point = _plugins(group)[name]
    try:
        return point.load()
    except Exception as error:  # third-party code can fail in any way
        raise ModelError(
            f"{name}, which an installed package registers under {group} as {point.value!r}, cannot be imported "
            f"({type(error).__name__}: {error}). Repair or remove that package."
        ) from error


@cache  # reading every installed package's metadata takes milliseconds
def _plugins(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}

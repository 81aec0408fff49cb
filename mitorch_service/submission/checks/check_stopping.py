"""Checks that early stopping knows the epochs after which it compares the trials of a script."""

from __future__ import annotations

from collections.abc import Iterator

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import is_script
from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.search.space.space import Space

_BY_SHARE = ("asha", "hyperband")  # rules that compare after shares of all epochs
_OTHERS = "median, percentile, patient"


def stopping_problems(search: SearchConfig, space: Space) -> Iterator[Problem]:
    """Yields the problem, if there is one; a search that pauses has a check of its own."""
    rule = search.early_stopping.rule if search.early_stopping is not None else None
    if rule not in _BY_SHARE or search.pauses:
        return
    corners = [corner for corner in space.corners() if not epochs_of(corner)]
    if any(map(is_script, corners)):
        message = f"is needed by {rule!r}, which compares trials after a half, a quarter … of all epochs: "
        remedy = f"write how many the script reports, or choose another rule ({_OTHERS})"
        yield Problem("config.max_epochs", message + remedy)
    elif any(corner.get("max_steps") is not None for corner in corners):
        message = f"is needed by {rule!r}, which compares trials after a half, a quarter … of all steps: "
        yield Problem("config.eval_every", f"{message}say how many steps apart, or choose another rule ({_OTHERS})")

"""The fields of a run of Neptune that both its clients write: what belongs to the system, and the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mitorch_service.interop.foreign_run import Ending, ForeignRun, number, set_nested

SYSTEM = "monitoring"  # the namespace of metrics of the machine in the client's version 1
IGNORED = ("source_code", "integrations")
_SETTINGS = re.compile(r"(hyper|h?param|config|arg|option|setting)", re.IGNORECASE)  # a namespace of these is no result


def set_field(run: ForeignRun, path: Sequence[str], value: Any) -> None:
    """Takes over a single value: a number that is no setting is a result, anything else a parameter."""
    figure = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if path[0] == "sys":
        _set_system_field(run, path[-1], value)
    elif figure is not None and not any(_SETTINGS.match(part) for part in path[:-1]):
        run.finals["/".join(path)] = figure
    else:
        set_nested(run.parameters, list(path), value)


def change_tags(run: ForeignRun, path: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> None:
    """Adds and removes tags, or groups."""
    if path[0] == "sys":
        before = "group=" if path[-1] == "group_tags" else ""
        gone = {before + tag for tag in removed}
        run.tags = [tag for tag in run.tags if tag not in gone] + [before + tag for tag in added]
    else:
        run.left_out["set of texts"] += 1


def _set_system_field(run: ForeignRun, field: str, value: Any) -> None:
    if field == "name":
        run.name = str(value)
    elif field == "description":
        run.note = str(value)
    elif field == "owner":
        run.user = str(value)
    elif field == "failed":
        run.ending = Ending.FAILED if value else Ending.FINISHED
        run.reason = "its field sys/failed is true" if value else None

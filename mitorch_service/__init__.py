"""A training job scheduler for PyTorch with no server of its own.

Exports the functions that a script calls when it runs under the queue; each docstring says what the function does when
the script runs by hand. They are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mitorch_service.runs.script.api import checkpoint, last_checkpoint, parameters, report, should_stop

__all__ = ["checkpoint", "last_checkpoint", "parameters", "report", "should_stop"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mitorch_service.runs.script import api

    found: object = getattr(api, name)
    return found

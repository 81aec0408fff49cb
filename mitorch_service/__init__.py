"""A training job scheduler for PyTorch with no server of its own.

What a script under the queue calls is here; each function says what it does when the script runs by hand, which is
nothing. They are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mitorch_service.runs.script.client import checkpoint, last_checkpoint, parameters, report, should_stop

__all__ = ["checkpoint", "last_checkpoint", "parameters", "report", "should_stop"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mitorch_service.runs.script import client

    return getattr(client, name)

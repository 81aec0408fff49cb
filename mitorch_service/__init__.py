"""A training job scheduler for PyTorch with no server of its own.

Exports what other programs import: `Client`, which does in Python what the commands do; `create_args` and
`perform_run`, which queue trainings on sets of an Azure ML workspace; `load`, which opens a trained model; and the
functions that a script calls when it runs under the queue, whose docstrings say what they do when the script runs by
hand. This is the one `__init__.py` that is not empty, as people write ``from mitorch_service import Client``. All are
loaded on first use: a script that only reports loads no client, and a client no PyTorch, MongoDB driver or web
framework before it needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mitorch_service.client.azureml_runs import create_args, perform_run
    from mitorch_service.client.client import Client
    from mitorch_service.client.model import load
    from mitorch_service.runs.script.api import (
        checkpoint,
        last_checkpoint,
        log_image,
        log_table,
        parameters,
        report,
        should_stop,
    )

__all__ = [
    "Client",
    "checkpoint",
    "create_args",
    "last_checkpoint",
    "load",
    "log_image",
    "log_table",
    "parameters",
    "perform_run",
    "report",
    "should_stop",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Client":
        from mitorch_service.client.client import Client

        return Client
    if name in ("create_args", "perform_run"):
        from mitorch_service.client import azureml_runs

        run: object = getattr(azureml_runs, name)
        return run
    if name == "load":
        from mitorch_service.client.model import load

        return load
    from mitorch_service.runs.script import api

    found: object = getattr(api, name)
    return found

"""Submits a request as exactly one run, even if answers are lost."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.node_image import PYTHON, our_image
from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.v1.runs import Runs
from mitorch_service.backends.azureml.v1.sdk import (
    ContentSnapshotCache,
    DockerConfiguration,
    Environment,
    PyTorchConfiguration,
    RunConfiguration,
    ScriptRunConfig,
)
from mitorch_service.backends.azureml.v1.sdk_errors import status_of, words_of


def submit(experiment: Any, runs: Runs, request: AzureMLRequest, folder: Path) -> str | None:
    """Returns the address where a person can view the run, or None if it exists but cannot be seen yet. `folder`: the
    code. Raises the SDK's errors if there is no run.

    The SDK makes several calls, so that the run may exist although it raises (an answer was lost, tags could not be
    set), or because another pass has submitted it. A run of this name is therefore taken as the result.
    """
    try:
        return _submit(experiment, request, folder)
    except Exception as error:
        found = _look_for(runs, request.name)
        if found is not None:
            return runs.url(found)
        if _is_of_later_call(error):
            return None  # run history does not show it yet: a pass will see its address
        if status_of(error) not in (400, 404) or "napshot" not in words_of(error):
            raise
    # The workspace has lost the code that this machine's cache says it has: upload it again.
    ContentSnapshotCache(experiment.workspace.service_context).remove_latest()
    return _submit(experiment, request, folder)


def _submit(experiment: Any, request: AzureMLRequest, folder: Path) -> str:
    config = ScriptRunConfig(str(folder), run_config=_configuration(experiment.workspace, request, folder))
    run = experiment.submit(config, tags=dict(request.tags), run_id=request.name)
    return str(run.get_portal_url())


def _is_of_later_call(error: Exception) -> bool:
    """Whether the run was created: its properties and tags are set by later calls."""
    response = getattr(error, "response", None)
    return getattr(getattr(response, "request", None), "method", None) == "PATCH"


def _look_for(runs: Runs, name: str) -> Any | None:
    try:
        return runs.get(name)
    except Exception:  # noqa: BLE001 - the caller raises its own error, which has the same cause
        return None


def _configuration(workspace: Any, request: AzureMLRequest, folder: Path) -> Any:
    config = copy.copy(_template(workspace, request.environment, folder / "requirements.txt", request.gpus))
    config.target = request.compute
    config.script, config.arguments = request.command[0], list(request.command[1:])
    config.environment_variables = dict(request.variables)
    if request.communicator is not None:
        config.framework, config.communicator = "PyTorch", request.communicator
        config.node_count = request.nodes
        config.pytorch = PyTorchConfiguration(request.communicator, request.processes, request.nodes)
    return config


@lru_cache(maxsize=64)
def _template(workspace: Any, environment: str | None, requirements: Path, gpus: int | None) -> Any:
    """Builds the part that all requests have in common; cached, because it takes longer than a call."""
    config = RunConfiguration()
    config.docker = DockerConfiguration(use_docker=True)
    config.environment = _environment(workspace, environment, requirements, gpus)
    return config


def _environment(workspace: Any, name: str | None, requirements: Path, gpus: int | None) -> Any:
    """Returns our environment, which the workspace builds once per requirements, or the image or environment named."""
    if name is None:
        label, image = our_image(gpus)
        ours = Environment.from_pip_requirements(label, str(requirements))
        ours.docker.base_image = image
        ours.python.conda_dependencies.set_python_version(PYTHON)
        return ours
    if "/" in name:
        return Environment.from_docker_image("mitorch-image", name)
    label, _, version = name.partition(":")
    return Environment.get(workspace, label, version or None)

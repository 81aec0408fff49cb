"""One request becomes one job, whatever is lost on the way: the job has the request's name."""

from __future__ import annotations

import hashlib
import re
import shlex
import threading
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.v2 import code as azureml_v2_code
from mitorch_service.backends.azureml.v2.runs import Runs
from mitorch_service.backends.azureml.v2.sdk import (
    Environment,
    HttpResponseError,
    MLClient,
    PyTorchDistribution,
    command,
)
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services

_BASE_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"  # PyTorch's packages bring CUDA
_PYTHON = "3.11"
_LOST = re.compile(r"snapshot|/codes/|/environments/", re.I)


class Submission:
    """Creates jobs in one workspace. Their code and environment are looked up or sent once. Threads may share it."""

    def __init__(self, client: MLClient, services: Services, runs: Runs) -> None:
        self._client, self._services, self._runs = client, services, runs
        self._lock = threading.Lock()
        self._codes: dict[Path, str] = {}  # folder -> its id in the workspace
        self._environments: dict[str | None, str] = {}  # as the settings name it -> its id in the workspace

    def make_ready(self, request: AzureMLRequest, folder: Path) -> None:
        """The workspace has the code and the environment when this returns."""
        self._code(folder)
        self._environment(request.environment, folder)

    def submit(self, request: AzureMLRequest, folder: Path) -> str:
        """Returns where a person can look at the run. `folder`: the code. Raises what the SDK does, if there is no run.

        The run may be there although the SDK raises: an answer was lost, or another pass was faster, perhaps with
        other code, which Azure refuses as a change. Then it is taken for this one's, which its name is the proof of.
        """
        try:
            return self._submit(request, folder)
        except Exception as error:
            found = self._look_for(request.name)
            if found is not None:
                return self._runs.url(found)
            if status_of(error) not in (400, 404) or not _LOST.search(str(error)):
                raise
        # The workspace has lost what this process remembers to have sent: it is sent again.
        self._forget()
        return self._submit(request, folder)

    def _submit(self, request: AzureMLRequest, folder: Path) -> str:
        code = self._code(folder)
        environment = self._environment(request.environment, folder)
        self._client.jobs.create_or_update(_job(request, code, environment))
        return self._runs.url({"runId": request.name})

    def _look_for(self, name: str) -> dict[str, Any] | None:
        try:
            return self._runs.get(name)
        except Exception:  # noqa: BLE001 - the caller has an error of its own to raise, and this one says the same
            return None

    def _forget(self) -> None:
        with self._lock:
            self._codes.clear()
            self._environments.clear()

    def _code(self, folder: Path) -> str:
        with self._lock:
            if folder not in self._codes:
                self._codes[folder] = azureml_v2_code.ensure(self._services, folder)
            return self._codes[folder]

    def _environment(self, name: str | None, folder: Path) -> str:
        with self._lock:
            if name not in self._environments:
                self._environments[name] = self._find_environment(name, folder)
            return self._environments[name]

    def _find_environment(self, name: str | None, folder: Path) -> str:
        """Ours is built by the workspace, once for its requirements; an image or a curated one is taken as it is."""
        if name is None:
            lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
            packages = [f"python={_PYTHON}", "pip", {"pip": [line for line in lines if line and line[0] != "#"]}]
            conda = {"name": "mitorch", "channels": ["conda-forge"], "dependencies": packages}
            return self._registered("mitorch", image=_BASE_IMAGE, conda_file=conda)
        if name.startswith(("azureml:", "AzureML-")):  # of Azure's registry, or a whole id
            return name if ":" in name else f"{name}@latest"
        if "/" in name:
            return self._registered("mitorch-image", image=name)
        label, _, version = name.partition(":")
        which = {"version": version} if version else {"label": "latest"}
        return str(self._client.environments.get(label, **which).id)

    def _registered(self, name: str, **content: Any) -> str:
        """The same content is the same version: it is registered where no other pass has done it."""
        version = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        environments = self._client.environments
        try:
            return str(environments.get(name, version).id)
        except HttpResponseError as error:
            if status_of(error) != 404:
                raise
        return str(environments.create_or_update(Environment(name=name, version=version, **content)).id)


def _job(request: AzureMLRequest, code: str, environment: str) -> Any:
    processes = request.processes // request.nodes
    return command(
        name=request.name,
        experiment_name=request.experiment,
        compute=request.compute,
        code=code,
        command=shlex.join(("python", *request.command)),
        environment=environment,
        environment_variables=dict(request.variables),
        tags=dict(request.tags),
        instance_count=request.nodes,
        distribution=PyTorchDistribution(process_count_per_instance=processes) if request.nodes > 1 else None,
    )

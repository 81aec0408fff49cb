"""Submits a request as exactly one job, which has the request's name, even if answers are lost."""

from __future__ import annotations

import hashlib
import re
import shlex
import threading
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.node_image import PYTHON, our_image
from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.v2.code_upload import upload_code
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
from mitorch_service.backends.azureml.vault import VAULT_VARIABLE

_LOST = re.compile(r"snapshot|/codes/|/environments/", re.I)


class Submission:
    """Creates jobs in one workspace; uploads code and environment at most once. Threads may share it."""

    def __init__(self, client: MLClient, services: Services, runs: Runs, vault: str) -> None:
        """`vault`: the address of the workspace's key vault, which nodes read."""
        self._vault = vault
        self._client = client
        self._services = services
        self._runs = runs
        self._lock = threading.Lock()
        self._codes: dict[Path, str] = {}  # folder -> id in the workspace
        self._environments: dict[str, str] = {}  # name in the settings, or of ours -> id in the workspace

    def make_ready(self, request: AzureMLRequest, folder: Path) -> None:
        """Uploads the code and registers the environment, unless the workspace has them."""
        self._code(folder)
        self._environment(request, folder)

    def submit(self, request: AzureMLRequest, folder: Path) -> str:
        """Returns the address where a person can view the run. `folder`: the code. Raises the SDK's errors if there is
        no run.

        The run may exist although the SDK raises: an answer was lost, or another pass has submitted it, perhaps with
        other code, which Azure refuses as a change. A run of this name is therefore taken as the result.
        """
        try:
            return self._submit(request, folder)
        except Exception as error:
            found = self._look_for(request.name)
            if found is not None:
                return self._runs.url(found)
            if status_of(error) not in (400, 404) or not _LOST.search(str(error)):
                raise
        # The workspace has lost code or environment that this process has uploaded: upload them again.
        self._forget()
        return self._submit(request, folder)

    def _submit(self, request: AzureMLRequest, folder: Path) -> str:
        code = self._code(folder)
        environment = self._environment(request, folder)
        self._client.jobs.create_or_update(_job(request, code, environment, self._vault))
        return self._runs.url({"runId": request.name})

    def _look_for(self, name: str) -> dict[str, Any] | None:
        try:
            return self._runs.get(name)
        except Exception:  # noqa: BLE001 - the caller raises its own error, which has the same cause
            return None

    def _forget(self) -> None:
        with self._lock:
            self._codes.clear()
            self._environments.clear()

    def _code(self, folder: Path) -> str:
        with self._lock:
            if folder not in self._codes:
                self._codes[folder] = upload_code(self._services, folder)
            return self._codes[folder]

    def _environment(self, request: AzureMLRequest, folder: Path) -> str:
        name, image = our_image(request.gpus)
        key = request.environment or name
        with self._lock:
            if key not in self._environments:
                ours = request.environment is None
                self._environments[key] = self._ours(name, image, folder) if ours else self._named(key)
            return self._environments[key]

    def _ours(self, name: str, image: str, folder: Path) -> str:
        """Returns the id of our environment, which the workspace builds once per requirements."""
        lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
        packages = [f"python={PYTHON}", "pip", {"pip": [line for line in lines if line and line[0] != "#"]}]
        conda = {"name": name, "channels": ["conda-forge"], "dependencies": packages}
        return self._registered(name, image=image, conda_file=conda)

    def _named(self, name: str) -> str:
        """Returns the id of the image or environment named."""
        if name.startswith(("azureml:", "AzureML-")):  # from Azure's registry, or a complete id
            return name if ":" in name else f"{name}@latest"
        if "/" in name:
            return self._registered("mitorch-image", image=name)
        label, _, version = name.partition(":")
        which = {"version": version} if version else {"label": "latest"}
        return str(self._client.environments.get(label, **which).id)

    def _registered(self, name: str, **content: Any) -> str:
        """Registers an environment, unless the version for this content exists; returns its id."""
        version = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        environments = self._client.environments
        try:
            return str(environments.get(name, version).id)
        except HttpResponseError as error:
            if status_of(error) != 404:
                raise
        return str(environments.create_or_update(Environment(name=name, version=version, **content)).id)


def _job(request: AzureMLRequest, code: str, environment: str, vault: str) -> Any:
    processes = request.processes // request.nodes
    return command(
        name=request.name,
        experiment_name=request.experiment,
        compute=request.compute,
        code=code,
        command=shlex.join(("exec", "python", *request.command)),  # else signals end the shell, and the run unheard
        environment=environment,
        environment_variables={**request.variables, VAULT_VARIABLE: vault},
        tags=dict(request.tags),
        instance_count=request.nodes,
        distribution=PyTorchDistribution(process_count_per_instance=processes) if request.nodes > 1 else None,
    )

"""Runs trainings on an Azure Machine Learning compute cluster, whichever SDK is used.

The SDK is imported at the first call that needs it, so that building the backend is cheap. Secrets reach a run only
through the workspace's key vault; the code is uploaded once, as a snapshot.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TypeVar

from mitorch_service.backends.azureml.code_snapshot import snapshot_folder
from mitorch_service.backends.azureml.http_errors import InvalidRequest
from mitorch_service.backends.azureml.request import AzureMLRequest, build_request
from mitorch_service.backends.azureml.vault import PREFIX_VARIABLE, SECRET_VARIABLES, secret_names, secret_prefix
from mitorch_service.backends.azureml.workspace_connection import WorkspaceConnection
from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import ComputeCreation, LiveRun, RunListing
from mitorch_service.backends.run_settings import known_settings
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.errors import BackendError, BackendUnavailable, MissingExtra, RunRefused
from mitorch_service.models.training import Resources

_PARALLEL = 24  # submissions at a time; each is about five sequential calls

Result = TypeVar("Result")
# A context manager that translates an SDK's errors to ours (given the cluster's name); a function that returns an
# error's HTTP status.
SdkErrors = tuple[Callable[[str], AbstractContextManager[None]], Callable[[Exception], int | None]]


class AzureMLBackend(Backend, ComputeCreation, RunListing):
    """Starts each run name once: the name is the run id, of which the service refuses a second one, so that an existing
    run is adopted. A submission to a full cluster waits in the cluster's own queue."""

    _EXTRA: str  # the extra of our package that installs the SDK

    def __init__(
        self,
        cluster: AzureMLCluster,
        home: Path,
        environment: Mapping[str, str],
        code: Callable[[Path], Path] = snapshot_folder,
    ) -> None:
        """`environment`: settings that the runs need, by variable; secrets among them go to the key vault. `code`:
        writes the folder with the code for the nodes, below the home."""
        self._cluster = cluster
        self._home = home
        self._make_code = code
        prefix = secret_prefix(known_settings(environment))
        self._secret_names = secret_names(prefix)
        self._environment = environment
        self._variables = {PREFIX_VARIABLE: prefix, "MITORCH_DB_NAME": environment.get("MITORCH_DB_NAME", "mitorch")}
        self._lock = threading.Lock()
        self._connection: WorkspaceConnection | None = None
        self._folder: Path | None = None  # with the code
        self._has_secrets = False  # whether the key vault is known to hold the secrets

    def load(self) -> None:
        with suppress(ModuleNotFoundError):  # which the first call tells with its remedy
            self._errors()
            self._connection_type()

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> AzureMLRequest:
        code = self._code().name
        needed = resources or Resources()
        return build_request(self._cluster, training_id, attempt, needed, code, self._variables)

    def submit(self, request: RunRequest) -> str | None:
        (answer,) = self.submit_all([request])
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str | BackendError | None]:
        ours = [request for request in requests if isinstance(request, AzureMLRequest)]
        if len(ours) != len(requests):
            raise TypeError("the request is from another backend: use this one's prepare()")
        if not ours:
            return []
        try:
            answers = self._ask(lambda connection: _find(connection, ours))
        except BackendError as error:
            return [error for _ in ours]
        missing = [request for request in ours if request.name not in answers]
        if missing:
            answers |= self._with_refusals(self._submit_missing(missing))
        return [answers[request.name] for request in ours]

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        if not names:
            return {}
        return self._ask(lambda connection: connection.runs.describe(names))

    def cancel(self, name: str) -> None:
        self._ask(lambda connection: connection.runs.cancel(name))

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        return self._ask(lambda connection: connection.runs.log(name, max_bytes)).decode("utf-8", "replace")

    def capacity(self) -> Capacity:
        return self._ask(lambda connection: connection.capacity())

    def live_runs(self) -> list[LiveRun]:
        return self._ask(lambda connection: connection.live_runs())

    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        return self._ask(lambda connection: connection.create_compute(name, profile))

    def _submit_missing(self, requests: Sequence[AzureMLRequest]) -> dict[str, str | BackendError | None]:
        """Submits one request first, which uploads the code and finds errors that concern all requests only once."""
        first, rest = requests[0], requests[1:]
        try:
            self._ask(lambda connection: self._make_ready(connection, first))
        except BackendError as error:
            return {request.name: error for request in requests}
        answer = self._submit(first)
        if isinstance(answer, BackendError) and not isinstance(answer, BackendUnavailable | InvalidRequest):
            return {request.name: answer for request in requests}
        with ThreadPoolExecutor(_PARALLEL, f"submit-{self._cluster.name}") as pool:
            return {
                first.name: answer,
                **dict(zip([one.name for one in rest], pool.map(self._submit, rest), strict=True)),
            }

    def _with_refusals(self, answers: dict[str, str | BackendError | None]) -> dict[str, str | BackendError | None]:
        """Turns permanent errors into RunRefused where the service confirms that the run does not exist."""
        permanent = {
            name: answer
            for name, answer in answers.items()
            if isinstance(answer, BackendError) and not isinstance(answer, BackendUnavailable)
        }
        try:
            known = self.describe(list(permanent))
        except BackendError:
            return answers  # unknown: the next pass looks again
        none = [name for name in permanent if name in known and known[name] is None]
        return {**answers, **{name: _refusal(permanent[name]) for name in none}}

    def _submit(self, request: AzureMLRequest) -> str | BackendError | None:
        try:
            return self._ask(lambda connection: connection.submit(request, self._code()))
        except BackendError as error:
            return error

    def _make_ready(self, connection: WorkspaceConnection, request: AzureMLRequest) -> None:
        """Creates everything that submissions like `request` need."""
        connection.ensure_compute(request.compute)
        if not self._has_secrets:
            names, values = self._secret_names, self._environment
            connection.store_secrets({names[name]: values[name] for name in SECRET_VARIABLES if name in values})
            self._has_secrets = True

    def _code(self) -> Path:
        with self._lock:
            if self._folder is None:
                try:
                    self._folder = self._make_code(self._home)
                except (OSError, PackageNotFoundError) as error:
                    problem = f"the code for the nodes cannot be packed ({error})"
                    remedy = "Check that MITORCH_HOME is writable, and that mitorch-service was installed with pip."
                    raise BackendError(self._cluster.name, problem, remedy) from error
            return self._folder

    def _ask(self, call: Callable[[WorkspaceConnection], Result]) -> Result:
        """Makes a call, translates its errors to ours, and reconnects once if the token has expired."""
        try:
            sdk_errors, status_of = self._errors()
        except ModuleNotFoundError as error:
            remedy = MissingExtra.command(self._EXTRA)
            raise BackendError(self._cluster.name, f"the package {error.name} is not installed here", remedy) from error
        with sdk_errors(self._cluster.name):
            connection = self._connect()
            try:
                return call(connection)
            except Exception as error:
                if isinstance(error, BackendError) or status_of(error) != 401:
                    raise
            self._forget(connection)
            return call(self._connect())

    def _connect(self) -> WorkspaceConnection:
        with self._lock:
            if self._connection is None:
                self._connection = self._connection_type()(self._cluster)
            return self._connection

    @abstractmethod
    def _errors(self) -> SdkErrors:
        """Imports the SDK. Raises ModuleNotFoundError."""

    @abstractmethod
    def _connection_type(self) -> Callable[[AzureMLCluster], WorkspaceConnection]:
        """Imports the class that signs in and opens the workspace; making one raises the SDK's errors."""

    def _forget(self, connection: WorkspaceConnection) -> None:
        with self._lock:
            if self._connection is connection:  # else another thread has reconnected
                self._connection = None


def _find(connection: WorkspaceConnection, requests: Sequence[AzureMLRequest]) -> dict[str, str | BackendError | None]:
    """Returns the addresses of the runs that exist already, by name."""
    there = connection.runs.find([request.name for request in requests])
    return {name: connection.runs.url(run) for name, run in there.items()}


def _refusal(error: BackendError) -> RunRefused:
    return RunRefused(error.cluster, error.problem, error.remedy, isinstance(error, InvalidRequest))

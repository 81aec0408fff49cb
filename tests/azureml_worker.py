"""Azure ML backends in a process of their own: the SDK reads its environment once, and leaves sockets open.

Forked from one that has imported both SDKs, with `Emulator.environment`: reads pickled calls from its standard input,
and answers each with what the backend returned or raised.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.backend import AzureMLBackend
from mitorch_service.backends.azureml.code_snapshot import ENTRY, content_hash
from mitorch_service.backends.azureml.v1.backend import AzureMLV1Backend
from mitorch_service.backends.azureml.v2.backend import AzureMLV2Backend
from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import ComputeCreation, LiveRun, RunListing
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.errors import BackendError
from mitorch_service.models.training import Resources
from tests.azureml_emulator.client import GROUP, PASSWORD, PRINCIPAL, SUBSCRIPTION, TENANT, Emulator
from tests.coverage_measurement import MEASURED
from tests.warm.command import with_warm_code

_ROOT = Path(__file__).parents[1]
_ANSWER_SECONDS = 150.0
_RUN_ARGUMENTS = b"import os, sys\nos.execvp(sys.argv[1], sys.argv[1:])\n"
CONNECTION = {
    "kind": "azureml",
    "subscription_id": SUBSCRIPTION,
    "resource_group": GROUP,
    "auth": f"{TENANT}:{PRINCIPAL}:{PASSWORD}",
}


class Worker(AbstractContextManager["Worker"]):
    """The process, as tests hold it."""

    def __init__(self, emulator: Emulator, folder: Path, **environment: str) -> None:
        self.log = folder / "worker.log"
        variables = emulator.environment(folder / "home")
        paths = os.pathsep.join([variables["PYTHONPATH"], str(_ROOT)])
        given = {"PATH": os.environ["PATH"], **variables, "PYTHONPATH": paths, **MEASURED, **environment}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from tests.azureml_worker import main; main()"],
                env=with_warm_code(given),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def ask(self, *message: Any) -> Any:
        """Sends a call and waits for its answer; raises what the backend raised.

        A worker that does not answer is killed, and what its threads were doing is told.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _ANSWER_SECONDS)[0]:
            self._process.send_signal(signal.SIGUSR1)  # it writes its stacks
            time.sleep(1)
            self._process.kill()
        try:
            failed, value = pickle.load(self._process.stdout)
        except EOFError:
            raise AssertionError(f"the worker has ended: {self.log.read_text()}") from None
        if failed:
            raise value
        return value

    def backend(
        self, home: Path, commands: bool = False, secrets: Mapping[str, str] | None = None, **cluster: Any
    ) -> RemoteBackend:
        """A new backend. `commands`: its nodes run any command, without our package."""
        return RemoteBackend(self, self.ask("open", home, {**CONNECTION, **cluster}, dict(secrets or {}), commands))

    def __exit__(self, *_: object) -> None:
        with self._process as process, suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)


class RemoteBackend(Backend, ComputeCreation, RunListing):
    """A backend in the worker. A request of any command is made one of Azure ML's."""

    def __init__(self, worker: Worker, number: int) -> None:
        self._worker, self._number = worker, number

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        return self._ask("prepare", training_id, attempt, resources)  # type: ignore[no-any-return]

    def submit(self, request: RunRequest) -> str | None:
        return self._ask("submit", request)  # type: ignore[no-any-return]

    def submit_all(self, requests: Sequence[RunRequest]) -> list[Any]:
        return self._ask("submit_all", requests)  # type: ignore[no-any-return]

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        return self._ask("describe", list(names))  # type: ignore[no-any-return]

    def cancel(self, name: str) -> None:
        self._ask("cancel", name)

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        return self._ask("logs", name, max_bytes)  # type: ignore[no-any-return]

    def capacity(self) -> Capacity:
        return self._ask("capacity")  # type: ignore[no-any-return]

    def live_runs(self) -> list[LiveRun]:
        return self._ask("live_runs")  # type: ignore[no-any-return]

    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        return self._ask("create_compute", name, profile)  # type: ignore[no-any-return]

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._worker.ask("call", self._number, method, arguments)


class _AnyCommand(AzureMLBackend):
    """Takes requests of any command: its code starts what its arguments say."""

    def submit_all(self, requests: Sequence[RunRequest]) -> list[str | BackendError | None]:
        ours = self.prepare("any", 1)
        names = ({"name": request.name, "command": (ENTRY, *request.command)} for request in requests)
        return super().submit_all([type(ours)(**{**vars(ours), **named}) for named in names])


class CommandBackend(_AnyCommand, AzureMLV1Backend):
    """Through the first SDK."""


class CommandV2Backend(_AnyCommand, AzureMLV2Backend):
    """Through the second."""


def _open(home: Path, cluster: dict[str, Any], secrets: dict[str, str], commands: bool) -> AzureMLBackend:
    config = AzureMLCluster.model_validate(cluster)
    if commands:
        return (CommandV2Backend if config.sdk == "v2" else CommandBackend)(config, home, secrets, _command_folder)
    return (AzureMLV2Backend if config.sdk == "v2" else AzureMLV1Backend)(config, home, secrets)


def _command_folder(home: Path) -> Path:
    folder = home / "snapshots" / content_hash({ENTRY: _RUN_ARGUMENTS})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENTRY).write_bytes(_RUN_ARGUMENTS)
    (folder / "requirements.txt").write_text("")
    return folder


def main() -> None:
    """Answers until its standard input ends. What the SDK prints must not get between the answers."""
    faulthandler.register(signal.SIGUSR1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    backends: list[AzureMLBackend] = []
    while True:
        try:
            what, *rest = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if what == "open":
                backends.append(_open(*rest))
                answer: Any = len(backends) - 1
            else:
                number, method, arguments = rest
                answer = getattr(backends[number], method)(*arguments)
            pickle.dump((False, answer), answers)
        except Exception as error:  # noqa: BLE001 - the test is told
            pickle.dump((True, error), answers)
        answers.flush()

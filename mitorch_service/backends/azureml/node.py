"""An Azure ML node: reads secrets from the key vault, publishes metrics, and detects preemption. Nodes need no SDK of
Azure ML."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mitorch_service.backends.azureml.run_display import show_evaluation, show_result
from mitorch_service.backends.azureml.vault import (
    GPUS_VARIABLE,
    LIFETIME_VARIABLE,
    PREFIX_VARIABLE,
    VAULT_VARIABLE,
    secret_names,
)
from mitorch_service.backends.node import Node
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.result import EpochResult

if TYPE_CHECKING:
    from mitorch_service.backends.azureml.run_service import RunService

RUN_VARIABLE = "AZUREML_RUN_ID"  # set by Azure ML in every run
_TRIES = 5  # for the key vault
_WAIT_SECONDS = 3.0
_CLOSE_SECONDS = 20.0
_POLL_SECONDS = 0.1
_CANCELED = ("CancelRequested", "Canceled")

log = logging.getLogger("mitorch")
Result = TypeVar("Result")


class AzureMLNode(Node):
    """Sends metrics from a separate thread, so that a slow or failing service neither delays nor ends the training."""

    keeps_files = False
    may_restart_runs = True

    def __init__(self, environ: Mapping[str, str], wait: Callable[[float], None] = time.sleep) -> None:
        self._environ = environ
        self._wait = wait
        self.url = _url(environ)
        self.gpus = int(environ.get(GPUS_VARIABLE) or 0)
        self.max_seconds = float(environ[LIFETIME_VARIABLE]) if environ.get(LIFETIME_VARIABLE) else None
        self._waiting: queue.Queue[Callable[[RunService], None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._given_up = False

    def settings(self) -> dict[str, str]:
        prefix = self._environ.get(PREFIX_VARIABLE)
        if not prefix:
            return {}  # not submitted by us
        names = secret_names(prefix)
        found = self._persistently(lambda: self._secrets(list(names.values())))
        settings = {variable: found[name] for variable, name in names.items() if found.get(name)}
        missing = [names[variable] for variable in names if not (settings.get(variable) or self._environ.get(variable))]
        if missing:
            remedy = "The next submission writes it, if the controller's identity may write secrets."
            raise BackendError("of this run", f"the workspace's key vault has no {', '.join(missing)}", remedy)
        return settings

    def training_started(self, tags: Mapping[str, str]) -> None:
        if tags:
            self._publish(lambda run: run.set_tags(dict(tags)))

    def epoch_ended(self, result: EpochResult) -> None:
        self._publish(lambda run: show_result(run, result))

    def training_ended(self, evaluation: Mapping[str, float], plots: Path) -> None:
        done = threading.Event()
        self._publish(lambda run: show_evaluation(run, evaluation, plots))
        self._publish(lambda run: done.set())
        end = time.monotonic() + _CLOSE_SECONDS
        while not done.wait(_POLL_SECONDS) and not self._given_up and time.monotonic() < end:
            pass  # the folder is deleted behind this

    def is_preempted(self) -> bool:
        try:
            return self._persistently(lambda: self._run().status(), tries=1) not in _CANCELED
        except BackendError as error:
            log.warning("%s", error)
            return False

    def close(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_CLOSE_SECONDS)

    def _publish(self, call: Callable[[RunService], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
            self._thread.start()
        self._waiting.put(call)

    def _work(self) -> None:
        try:
            run = self._run()
            while (call := self._waiting.get()) is not None:
                call(run)
        except Exception as error:  # noqa: BLE001 - the studio's copy is optional; the database has the metrics
            self._given_up = True
            words = str(error) if isinstance(error, BackendError) else type(error).__name__
            log.warning("metrics are no longer sent to the studio: %s", words)

    def _secrets(self, names: list[str]) -> dict[str, str]:
        """Reads the key vault with the compute's identity, else through the workspace with the run's token."""
        vault = self._environ.get(VAULT_VARIABLE)
        if not vault:
            return self._run().secrets(names)
        from mitorch_service.backends.azureml.run_service import vault_secrets

        try:
            return vault_secrets(vault, names)
        except BackendUnavailable:
            raise
        except BackendError as error:
            log.warning("%s", error)
            try:
                return self._run().secrets(names)
            except BackendUnavailable:
                raise
            except BackendError:
                raise error from None

    def _run(self) -> RunService:
        from mitorch_service.backends.azureml.run_service import RunService

        return RunService(self._environ)

    def _persistently(self, call: Callable[[], Result], tries: int = _TRIES) -> Result:
        for attempt in range(1, tries + 1):
            try:
                return call()
            except BackendUnavailable as error:
                log.warning("%s", error)
                if attempt == tries:
                    raise
            self._wait(_WAIT_SECONDS * attempt)
        raise AssertionError("unreachable")


def _url(environ: Mapping[str, str]) -> str | None:
    """The address of the run in the studio, which its submission may not have told (an answer was lost)."""
    names = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")
    subscription, group, workspace = (environ.get(name) for name in names)
    if not (RUN_VARIABLE in environ and subscription and group and workspace):
        return None
    where = f"/subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}"
    return f"https://ml.azure.com/runs/{environ[RUN_VARIABLE]}?wsid={where}"

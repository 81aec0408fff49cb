"""An Azure ML node: reads secrets from the key vault, publishes metrics, and detects preemption."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mitorch_service.backends.azureml.vault import PREFIX_VARIABLE, secret_names
from mitorch_service.backends.node import Node
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.result import EpochResult

RUN_VARIABLE = "AZUREML_RUN_ID"  # set by Azure ML in every run
_TRIES = 5  # for the key vault
_WAIT_SECONDS = 3.0
_CLOSE_SECONDS = 20.0
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
        self._waiting: queue.Queue[EpochResult | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def settings(self) -> dict[str, str]:
        prefix = self._environ.get(PREFIX_VARIABLE)
        if not prefix:
            return {}  # not submitted by us
        names = secret_names(prefix)
        found = self._persistently(lambda: _this_run().get_secrets(list(names.values())))
        settings = {variable: found[name] for variable, name in names.items() if found.get(name)}
        missing = [names[variable] for variable in names if not (settings.get(variable) or self._environ.get(variable))]
        if missing:
            remedy = "The next submission writes it, if the controller's identity may write secrets."
            raise BackendError("of this run", f"the workspace's key vault has no {', '.join(missing)}", remedy)
        return settings

    def epoch_ended(self, result: EpochResult) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
            self._thread.start()
        self._waiting.put(result)

    def is_preempted(self) -> bool:
        try:
            return self._persistently(lambda: _this_run().get_status(), tries=1) not in _CANCELED
        except BackendError as error:
            log.warning("%s", error)
            return False

    def close(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            run = _this_run()
            while (result := self._waiting.get()) is not None:
                for name, value in _metrics(result).items():
                    run.log(name, value, step=result.epoch)
            run.flush(timeout_seconds=_CLOSE_SECONDS / 2)
        except Exception as error:  # noqa: BLE001 - the studio's copy is optional; the database has the metrics
            log.warning("metrics are no longer sent to the studio: %s", type(error).__name__)

    def _persistently(self, call: Callable[[], Result], tries: int = _TRIES) -> Result:
        from mitorch_service.backends.azureml.v1.sdk_errors import sdk_errors

        for attempt in range(1, tries + 1):
            try:
                with sdk_errors("of this run"):
                    return call()
            except BackendUnavailable as error:
                log.warning("%s", error)
                if attempt == tries:
                    raise
            self._wait(_WAIT_SECONDS * attempt)
        raise AssertionError("unreachable")


def _this_run() -> Any:
    from mitorch_service.backends.azureml.v1.sdk import Run

    return Run.get_context(allow_offline=False)


def _metrics(result: EpochResult) -> dict[str, float]:
    values = {"train_loss": result.train_loss, "val_loss": result.val_loss, "learning_rate": result.learning_rate}
    return {name: value for name, value in {**values, **result.metrics}.items() if value is not None}

"""Runs an attempt in this process: settings, signals, logging, exit code."""

from __future__ import annotations

import logging
import os
import signal
import threading

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.node import Node
from mitorch_service.errors import ArtifactError, BackendError, BrokenDocument, MiTorchError, NotFound, StoreError
from mitorch_service.models.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import TrainingStatus
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.bounded_log import BoundedOutput
from mitorch_service.runs.rank import run_rank
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.wiring import open_artifacts, open_dataset_files, open_node, open_store

_PATIENCE_SECONDS = 600.0  # to wait for a database that does not answer

log = logging.getLogger("mitorch")


def run_attempt(training_id: str, attempt: int) -> int:
    """Runs the attempt; returns the exit code. SIGTERM and Ctrl-C end it cleanly as canceled; on a node that is
    preempted or shuts down they end it at once, as lost."""
    _log_to_stdout()
    if not _is_first():
        log.info("process %s of %s joins the training of the first", *map(os.environ.get, ("RANK", "WORLD_SIZE")))
    node = open_node(os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(node, stop))
    try:
        extra = node.settings()
        settings = read_settings({**os.environ, **extra} if extra else None)
    except BackendError as error:
        log.error("%s", mask_secrets(str(error)))
        return EXIT_INFRASTRUCTURE
    try:
        return _run(settings, node, training_id, attempt, stop)
    finally:
        node.close()


def _run(settings: Settings, node: Node, training_id: str, attempt: int, stop: threading.Event) -> int:
    store = open_store(settings)
    if not _is_first():
        return run_rank(store, training_id, open_dataset_files(settings))
    if node.may_restart_runs and _has_begun(store, training_id, attempt):
        log.error("attempt %d had begun on a node that was preempted: it is lost, and another one replaces it", attempt)
        return EXIT_INFRASTRUCTURE
    return run_training(
        store,
        open_artifacts(settings),
        training_id,
        attempt,
        store.now,
        stop,
        open_dataset_files(settings),
        node.epoch_ended,
        settings.home / "undelivered" if node.keeps_files else None,
        None if node.keeps_files else lambda: _renewed_artifacts(node),
    )


def _renewed_artifacts(node: Node) -> ArtifactStore:
    """The artifact store by the settings as they are now: a SAS token may have been renewed. Raises ArtifactError."""
    try:
        return open_artifacts(read_settings({**os.environ, **node.settings()}))
    except MiTorchError as error:
        raise ArtifactError("model", "the artifact store", f"its settings cannot be read ({error})") from error


def _is_first() -> bool:
    """Whether this is the reporting one of the run's processes, of which each GPU of each node has one."""
    return os.environ.get("RANK", "0") == "0"


def _has_begun(store: Store, training_id: str, attempt: int) -> bool:
    """Whether another process has reported for this attempt, so that the store would refuse this one's writes."""
    try:
        row = persistently(lambda: store.trainings.get_training(training_id), _PATIENCE_SECONDS)
    except (NotFound, BrokenDocument, StoreError):
        return False  # the run itself reports the error
    return row.attempt == attempt and row.status == TrainingStatus.RUNNING


def _log_to_stdout() -> None:
    logging.raiseExceptions = False  # a full disk under the log must not end the training
    log.addHandler(BoundedOutput())
    log.setLevel(logging.INFO)


def _end(node: Node, stop: threading.Event) -> None:
    """Asks the node in a thread why the process is to end; the training continues until the answer is known."""

    def work() -> None:
        if node.is_preempted():
            log.warning("the node is preempted: the attempt is lost, and another one replaces it")
            os._exit(EXIT_INFRASTRUCTURE)
        stop.set()

    threading.Thread(target=work, name="end", daemon=True).start()

"""Runs an attempt in this process: settings, signals, time limit, logging, exit code."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.node import Node
from mitorch_service.cli.training.run_interruption import RunInterruption, record
from mitorch_service.errors import ArtifactError, BackendError, BrokenDocument, MiTorchError, NotFound, StoreError
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.base import new_id
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.bounded_log import BoundedOutput
from mitorch_service.runs.context import RunContext
from mitorch_service.runs.preemption import end_preempted_attempt
from mitorch_service.runs.rank import run_rank
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.wiring import open_artifacts, open_dataset_files, open_node, open_store

_PATIENCE_SECONDS = 600.0  # to wait for a database that does not answer

log = logging.getLogger("mitorch")


def run_attempt(training_id: str, attempt: int) -> int:
    """Runs the attempt; returns the exit code. SIGTERM and Ctrl-C end it cleanly as canceled; on a node that is
    preempted or shuts down they end it at once, as lost, and so does the end of the time that its cluster gives a
    run. SIGUSR1, which tells that this end is near, does so after a last checkpoint."""
    _log_to_stdout()
    if not _is_first():
        log.info("process %s of %s joins the training of the first", *map(os.environ.get, ("RANK", "WORLD_SIZE")))
    node = open_node(os.environ)
    interruption = RunInterruption(node)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: interruption.begin())
    signal.signal(signal.SIGUSR1, lambda *_: interruption.limit_nears())
    try:
        extra = node.settings()
        settings = read_settings({**os.environ, **extra} if extra else None)
    except BackendError as error:
        log.error("%s", mask_secrets(str(error)))
        return EXIT_INFRASTRUCTURE
    try:
        return _run(settings, node, training_id, attempt, interruption)
    finally:
        node.close()


def _run(settings: Settings, node: Node, training_id: str, attempt: int, interruption: RunInterruption) -> int:
    store = open_store(settings)
    if not _is_first():
        return run_rank(store, training_id, open_dataset_files(settings))
    before = _started_before(store, training_id, attempt) if node.may_restart_runs else None
    if before is not None:
        reason = "it had begun on a node that was taken away"
        log.error("attempt %d is lost, and another one replaces it: %s", attempt, reason)
        record(lambda: end_preempted_attempt(store, training_id, attempt, before.worker, store.now, reason))
        return EXIT_INFRASTRUCTURE
    worker = new_id()
    interruption.watch(partial(_lose, store, training_id, attempt, worker))
    run = RunContext(
        store,
        open_artifacts(settings),
        store.now,
        interruption.stop,
        open_dataset_files(settings),
        node.epoch_ended,
        settings.home / "undelivered" if node.keeps_files else None,
        None if node.keeps_files else lambda: _renewed_artifacts(node),
        worker,
        node.gpus,
        interruption.checkpoint,
        node,
    )
    return run_training(run, training_id, attempt)


def _renewed_artifacts(node: Node) -> ArtifactStore:
    """The artifact store by the settings as they are now: a SAS token may have been renewed. Raises ArtifactError."""
    try:
        return open_artifacts(read_settings({**os.environ, **node.settings()}))
    except MiTorchError as error:
        raise ArtifactError("model", "the artifact store", f"its settings cannot be read ({error})") from error


def _is_first() -> bool:
    """Whether this is the reporting one of the run's processes, of which each GPU of each node has one."""
    return os.environ.get("RANK", "0") == "0"


def _started_before(store: Store, training_id: str, attempt: int) -> Training | None:
    """The training if another process has started it for this attempt, so that the store would refuse this one's
    writes; else None."""
    try:
        row = persistently(lambda: store.trainings.get_training(training_id), _PATIENCE_SECONDS)
    except (NotFound, BrokenDocument, StoreError):
        return None  # the run itself reports the error
    return row if row.attempt == attempt and row.status == TrainingStatus.RUNNING else None


def _lose(store: Store, training_id: str, attempt: int, worker: str, reason: str, timed_out: bool) -> None:
    """Records that the node is taken away, whether or not the training has started."""
    row = store.runs.find_attempt(training_id, attempt)
    end_preempted_attempt(store, training_id, attempt, worker if row.worker else None, store.now, reason, timed_out)


def _log_to_stdout() -> None:
    logging.raiseExceptions = False  # a full disk under the log must not end the training
    log.addHandler(BoundedOutput())
    log.setLevel(logging.INFO)

"""The run of one attempt of a queued training: what `mirun` does on the machine where the backend started it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import (
    ArtifactError,
    BrokenDocument,
    DataRefused,
    MachineTrouble,
    NotFound,
    ProcessLost,
    StaleAttempt,
    StoreError,
    TrainingDiverged,
)
from mitorch_service.models.base import JsonObject, new_id
from mitorch_service.models.config.script import NO_DATASET, is_script
from mitorch_service.models.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training
from mitorch_service.runs.attempt_end import block_attempt, blocked, diverged, failed, logged_error, lost, record_end
from mitorch_service.runs.bounded_log import LOG_LIMIT, BoundedLog
from mitorch_service.runs.context import END_PATIENCE, START_PATIENCE, AttemptContext
from mitorch_service.runs.delivery import Work, deliver, forget_kept, kept_work
from mitorch_service.runs.engine_training import run_engine
from mitorch_service.runs.machine_check import (
    check_data_access,
    check_machine,
    data_trouble,
    find_trouble,
    folder_trouble,
)
from mitorch_service.runs.resume import ResumePoint, complete_curve, find_resume_point
from mitorch_service.runs.script.script_training import run_script
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.runs.trial_pausing import TrialPausing
from mitorch_service.runs.trial_stopping import TrialStopping
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.runs import RunEnd
from mitorch_service.temporary_folders import temporary_folder

log = logging.getLogger("mitorch")


def run_training(
    store: Store,
    artifacts: ArtifactStore,
    training_id: str,
    attempt: int,
    clock: Callable[[], datetime],
    stop: threading.Event,
    dataset_files: DatasetFiles | None = None,
    epoch_ended: Callable[[EpochResult], None] | None = None,
    undelivered: Path | None = None,
    renew: Callable[[], ArtifactStore] | None = None,
) -> int:
    """Runs the attempt to its end and returns the exit code of the process: 0 if it completed, was canceled, pruned,
    paused or superseded by another attempt; 1 if the training failed or diverged; 75 if something around it failed.

    Without `dataset_files`, a data set from blob storage is kept for this run only. `epoch_ended` receives each epoch's
    result as well as the store; it must return at once and never raise. `undelivered`: the folder for finished work
    that cannot be delivered, if the next run on this machine finds it. `renew` opens the artifact store with the
    settings of that moment.
    """
    try:
        with _attempt_folder() as (folder, own_log):
            check_machine(artifacts, folder)
            found = persistently(lambda: store.runs.find_attempt(training_id, attempt), START_PATIENCE)
            files = dataset_files or DatasetFiles(folder / "datasets")
            kept = kept_work(undelivered, found)
            if kept is None:
                _check_data(store, files, found)
            resume_point = find_resume_point(artifacts, found)
            worker = new_id()
            epochs = resume_point.epochs if kept is None else kept.epochs
            training = persistently(
                lambda: store.runs.start_training(training_id, attempt, worker, clock(), epochs), START_PATIENCE
            )
            own_log.limit = _log_limit(training.config)
            persistently(lambda: complete_curve(store, training, resume_point.results), START_PATIENCE)
            context = AttemptContext(
                store, artifacts, files, training, worker, clock, stop, folder, epoch_ended, undelivered, renew
            )
            end = _train(context, resume_point) if kept is None else _deliver_kept(context, kept)
            code = record_end(context, end)
            forget_kept(store, undelivered, done="" if end.kept else training_id)
            return code
    except StaleAttempt as error:  # superseded: another attempt or process owns the training, nothing is written
        log.warning("%s", error)
        return 0
    except MachineTrouble as trouble:  # before the training was started
        return block_attempt(store, training_id, attempt, clock(), trouble)
    except (StoreError, ArtifactError) as error:  # no end can be recorded: the controller finds the attempt lost
        log.error("%s", error)
        return EXIT_INFRASTRUCTURE


def _check_data(store: Store, files: DatasetFiles, training: Training) -> None:
    """Raises MachineTrouble, StoreError. A data set that is gone fails the training when it is needed."""
    if training.dataset == NO_DATASET:
        return
    try:
        dataset = persistently(lambda: store.datasets.get_dataset(training.dataset), START_PATIENCE)
    except (NotFound, BrokenDocument):
        return
    check_data_access(files, dataset)


def _deliver_kept(context: AttemptContext, kept: Work) -> RunEnd:
    """Delivers what an earlier attempt has trained on this machine."""
    log.info("an earlier attempt has done the work: it is delivered")
    try:
        return deliver(context, kept)
    except MachineTrouble as trouble:
        return blocked(trouble)


def _train(context: AttemptContext, resume_point: ResumePoint) -> RunEnd:
    """Trains, and turns whatever happens into the attempt's end. Raises StaleAttempt and StoreError only."""
    end = _trained(context, resume_point)
    if end.outcome in (AttemptOutcome.FAILED, AttemptOutcome.LOST):
        trouble = find_trouble(context.artifacts, context.folder)
        return end if trouble is None else blocked(trouble)
    return end


def _trained(context: AttemptContext, resume_point: ResumePoint) -> RunEnd:
    store, training = context.store, context.training
    stopping = persistently(
        lambda: TrialPausing.of(store, training) or TrialStopping.of(store, training), START_PATIENCE
    )
    reporter = StoreReporter(
        store,
        training.id,
        training.attempt,
        training.max_epochs,
        context.clock,
        context.stop,
        context.epoch_ended,
        stopping,
        drops_earlier=resume_point.epochs is None,
    )
    try:
        if is_script(training.config):
            return run_script(context, reporter)
        return run_engine(context, resume_point, reporter)
    except (StaleAttempt, StoreError):
        raise
    except MachineTrouble as trouble:
        return blocked(trouble)
    except DataRefused as error:  # while it was being downloaded
        return blocked(data_trouble(error))
    except TrainingDiverged as error:
        return diverged(logged_error(error))
    except (ArtifactError, ProcessLost) as error:
        return lost(logged_error(error))
    except Exception as error:  # noqa: BLE001 - a user's data and config can fail in any way, and all are recorded
        return failed(logged_error(error))
    finally:
        try:
            reporter.flush(END_PATIENCE)
        finally:
            reporter.close()


def _log_limit(config: JsonObject) -> int:
    limit = config.get("log_limit")
    return limit if isinstance(limit, int) else LOG_LIMIT


@contextmanager
def _attempt_folder() -> Iterator[tuple[Path, BoundedLog]]:
    """A folder for this attempt's files, with everything that is logged meanwhile in its ``log.txt``. Raises
    MachineTrouble."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder())
            handler = BoundedLog(folder / "log.txt")
        except OSError as error:
            raise folder_trouble(error) from error
        log.addHandler(handler)
        try:
            yield folder, handler
        finally:
            log.removeHandler(handler)
            handler.close()

"""The run of one attempt of a queued training: what `mirun` does on the machine where the backend started it."""

from __future__ import annotations

import logging

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
    StoreUnavailable,
    TrainingDiverged,
)
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.base import JsonObject
from mitorch_service.models.config.script import NO_DATASET, is_script
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import RUN_TAGS, Training
from mitorch_service.runs.attempt_end import (
    block_attempt,
    blocked,
    diverged,
    failed,
    logged_error,
    lost,
    process_lost,
    record_end,
)
from mitorch_service.runs.bounded_log import LOG_LIMIT
from mitorch_service.runs.context import END_PATIENCE, START_PATIENCE, AttemptContext, RunContext
from mitorch_service.runs.delivery import Work, deliver, forget_kept, keep_end, kept_work
from mitorch_service.runs.machine import MACHINE, Machine
from mitorch_service.runs.machine_check import (
    check_data_access,
    check_gpus,
    data_trouble,
)
from mitorch_service.runs.resume import ResumePoint, complete_curve, find_resume_point
from mitorch_service.runs.search.trial_pausing import TrialPausing
from mitorch_service.runs.search.trial_stopping import TrialStopping
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.runs.unwritten_results import UnwrittenResults
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.verbs.runs import RunEnd

_PROMPT_SECONDS = 2.0  # in which a database takes the last results, unless it is away
_PROCESS_SECONDS = 2.0  # for the word of a process that was lost

log = logging.getLogger("mitorch")


def run_training(run: RunContext, training_id: str, attempt: int, machine: Machine = MACHINE) -> int:
    """Runs the attempt to its end and returns the exit code of the process: 0 if it completed, was canceled, pruned,
    paused or superseded by another attempt; 1 if the training failed or diverged; 75 if something around it failed."""
    try:
        with machine.open_folder() as (folder, own_log):
            machine.check(run.artifacts, folder)
            found = _begin(run, training_id, attempt)
            files = run.dataset_files or DatasetFiles(folder / "datasets")
            kept = kept_work(run.undelivered, found)
            if kept is None:
                _check_data(run.store, files, found)
            resume_point = find_resume_point(run.artifacts, found)
            epochs = resume_point.epochs if kept is None else kept.epochs
            training = _start(run, training_id, attempt, epochs)
            own_log.limit = _log_limit(training.config)
            _complete_results(run, training, resume_point, epochs)
            run.node.training_started(shown_tags(training))
            context = run.started(training, files, folder)
            end = _train(context, resume_point, machine) if kept is None else _deliver_kept(context, kept)
            return _conclude(context, end)
    except StaleAttempt as error:  # superseded: another attempt or process owns the training, nothing is written
        log.warning("%s", error)
        return 0
    except MachineTrouble as trouble:  # before the training was started
        return block_attempt(run.store, training_id, attempt, run.clock(), trouble)
    except (StoreError, ArtifactError) as error:  # no end can be recorded: the controller finds the attempt lost
        log.error("%s", error)
        return EXIT_INFRASTRUCTURE


def _begin(run: RunContext, training_id: str, attempt: int) -> Training:
    """Tells the store where the attempt runs. Raises MachineTrouble if GPUs are missing, StaleAttempt, StoreError."""
    found = persistently(
        lambda: run.store.runs.begin_attempt(training_id, attempt, run.clock(), run.node.url), START_PATIENCE
    )
    check_gpus(max(run.gpus, 0 if found.resources is None else found.resources.gpus or 0))
    return found


def _start(run: RunContext, training_id: str, attempt: int, epochs: int | None) -> Training:
    """Takes the attempt for this process, which goes on after so many epochs. Raises StaleAttempt, StoreError."""
    return persistently(
        lambda: run.store.runs.start_training(training_id, attempt, run.worker, run.clock(), epochs), START_PATIENCE
    )


def _complete_results(run: RunContext, training: Training, resume_point: ResumePoint, epochs: int | None) -> None:
    """Records the results of the epochs before, which earlier attempts have left in their checkpoint or on the disk."""
    unwritten = UnwrittenResults(run.undelivered, training.id)
    left = [result for result in unwritten.read() if epochs is None or result.epoch <= epochs]
    persistently(lambda: complete_curve(run.store, training, [*resume_point.results, *left]), START_PATIENCE)
    unwritten.forget()


def _conclude(context: AttemptContext, end: RunEnd) -> int:
    """Records the end and returns the exit code. Raises StaleAttempt, StoreError."""
    code = record_end(context, end)
    forget_kept(context.store, context.undelivered, done="" if end.kept else context.training.id)
    return code


def shown_tags(training: Training) -> dict[str, str]:
    """Returns the tags of a training for its run, with its name; those by which runs are found keep their meaning."""
    pairs = (tag.partition("=") for tag in training.tags)
    tags = {key.strip(): value for key, _, value in pairs if key.strip() not in RUN_TAGS}
    return tags if training.name is None else {"name": training.name, **tags}


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


def _train(context: AttemptContext, resume_point: ResumePoint, machine: Machine) -> RunEnd:
    """Trains, and turns whatever happens into the attempt's end. Raises StaleAttempt and StoreError only."""
    end = _trained(context, resume_point, machine)
    if end.outcome in (AttemptOutcome.FAILED, AttemptOutcome.LOST):
        trouble = machine.find_trouble(context.artifacts, context.folder)
        return end if trouble is None else blocked(trouble)
    return end


def _trained(context: AttemptContext, resume_point: ResumePoint, machine: Machine) -> RunEnd:
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
        reports_steps=training.reports_steps,
        unwritten=UnwrittenResults(context.undelivered, training.id),
        restamps=not is_script(training.config),
        threads=machine.threads,
    )
    end: RunEnd | None = None
    try:
        end = _worked(context, resume_point, reporter, machine)
        return end
    finally:
        try:
            _flush(context, reporter, end)
        finally:
            reporter.close()


def _worked(context: AttemptContext, resume_point: ResumePoint, reporter: StoreReporter, machine: Machine) -> RunEnd:
    """Runs the script or the engine, and turns what keeps it from its work into an end."""
    try:
        if is_script(context.training.config):
            return machine.run_script(context, reporter)
        return machine.run_engine(context, resume_point, reporter)
    except (StaleAttempt, StoreError):
        raise
    except MachineTrouble as trouble:
        return blocked(trouble)
    except DataRefused as error:  # while it was being downloaded
        return blocked(data_trouble(error))
    except TrainingDiverged as error:
        return diverged(logged_error(error))
    except ArtifactError as error:
        return lost(logged_error(error))
    except ProcessLost as error:
        return process_lost(error, context.node.failed_process(_PROCESS_SECONDS))
    except Exception as error:  # noqa: BLE001 - a user's data and config can fail in any way, and all are recorded
        return failed(logged_error(error))


def _flush(context: AttemptContext, reporter: StoreReporter, end: RunEnd | None) -> None:
    """Waits until the store has all results. Meanwhile they are kept on disk, and then the end of a training that did
    its work: the next attempt records no end without its results. Raises StaleAttempt, StoreError."""
    if context.undelivered is not None:
        reporter.keep_unwritten()
        try:
            return reporter.flush(_PROMPT_SECONDS)
        except StoreUnavailable:
            if reporter.keep_unwritten() and end is not None:
                keep_end(context, end)
    reporter.flush(END_PATIENCE)


def _log_limit(config: JsonObject) -> int:
    limit = config.get("log_limit")
    return limit if isinstance(limit, int) else LOG_LIMIT

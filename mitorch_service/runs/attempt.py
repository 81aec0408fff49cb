"""The run of one attempt of a queued training: what `mirun` does on the machine where the backend put it."""

from __future__ import annotations

import logging
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import (
    ArtifactError,
    DataError,
    MiTorchError,
    ProcessLost,
    StaleAttempt,
    StoreError,
    TrainingDiverged,
)
from mitorch_service.models.base import new_id
from mitorch_service.models.config import TrainingConfig
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.result import EpochResult
from mitorch_service.models.run import EXIT_INFRASTRUCTURE
from mitorch_service.models.script import is_script
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import MAX_LOST_ATTEMPTS, Training, TrainingErrorInfo
from mitorch_service.runs.config import config_of
from mitorch_service.runs.resume import Earlier, delete_checkpoints, find_checkpoint
from mitorch_service.runs.script.attempt import run_script
from mitorch_service.runs.script.checkpoints import ScriptCheckpoints, epochs_kept
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.runs.trial_pausing import TrialPausing, paused_after
from mitorch_service.runs.trial_stopping import TrialStopping
from mitorch_service.runs.trial_values import with_trial_values
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.runs import RunEnd
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.local_processes import local_processes, wanted_processes
from mitorch_service.training.loop.segment import segment_of
from mitorch_service.training.torch_imports import heavy_imports

_START_PATIENCE = 600.0  # seconds to wait for the database before the training
_END_PATIENCE = 3600.0  # and after it, when there are results to lose
_LOG_TAIL_LINES = 20

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
) -> int:
    """Runs the attempt to its end and returns the exit code of the process: 0 it ended as it should (completed,
    canceled, pruned, or taken over by another attempt), 1 the training failed, 75 something around it did.

    Without `dataset_files`, what the data set has in blob storage is kept for this run only. `epoch_ended` is told each
    epoch's result beside the store: it returns at once and never raises."""
    worker = new_id()
    with tempfile.TemporaryDirectory(prefix="mitorch-") as folder:
        log_file = Path(folder, "log.txt")
        handler = logging.FileHandler(log_file, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        try:
            found = persistently(lambda: store.find_attempt(training_id, attempt), _START_PATIENCE)
            earlier = find_checkpoint(artifacts, found)
            epochs = max(earlier.epochs, epochs_kept(artifacts, training_id, attempt))
            training = persistently(
                lambda: store.start_training(training_id, attempt, worker, clock(), epochs), _START_PATIENCE
            )
            persistently(lambda: earlier.complete_curve(store, training), _START_PATIENCE)
            files = dataset_files or DatasetFiles(Path(folder, "datasets"))
            end = _attempt(store, artifacts, files, training, earlier, Path(folder), clock, stop, epoch_ended)
            end = _store_log(artifacts, training_id, attempt, log_file, end)
            code = _tell(store, training, worker, end, clock)
            stopped_early = end.outcome == AttemptOutcome.PRUNED and segment_of(training).pause_at is None
            if end.outcome == AttemptOutcome.COMPLETED or stopped_early:
                delete_checkpoints(artifacts, training_id)
            return code
        except StaleAttempt as error:
            log.warning("%s", error)
            return 0
        except (StoreError, ArtifactError) as error:
            log.error("%s", error)
            return EXIT_INFRASTRUCTURE
        finally:
            log.removeHandler(handler)
            handler.close()


def _attempt(
    store: Store,
    artifacts: ArtifactStore,
    dataset_files: DatasetFiles,
    training: Training,
    earlier: Earlier,
    folder: Path,
    clock: Callable[[], datetime],
    stop: threading.Event,
    epoch_ended: Callable[[EpochResult], None] | None,
) -> RunEnd:
    """Trains, and turns whatever happens into the attempt's end. Raises StaleAttempt and StoreError only."""
    stopping = persistently(
        lambda: TrialPausing.of(store, training) or TrialStopping.of(store, training), _START_PATIENCE
    )
    reporter = StoreReporter(
        store, training.id, training.attempt, training.max_epochs, clock, stop, epoch_ended, stopping
    )
    try:
        if is_script(training.config):
            end = run_script(store, artifacts, dataset_files, training, folder, reporter, clock)
        else:
            dataset = persistently(lambda: store.get_dataset(training.dataset), _START_PATIENCE)
            with dataset_files.at_hand(dataset) as paths:
                end = _train(artifacts, training, earlier, dataset, paths, folder, reporter)
    except (StaleAttempt, StoreError):
        raise
    except TrainingDiverged as error:
        end = _failure(AttemptOutcome.DIVERGED, error)
    except (ArtifactError, ProcessLost) as error:
        end = _failure(AttemptOutcome.LOST, error)
    except Exception as error:  # noqa: BLE001 - a user's data and config can fail in any way: it is told, not lost
        end = _failure(AttemptOutcome.FAILED, error)
    else:
        end = with_trial_values(training, end) if end.outcome == AttemptOutcome.COMPLETED else end
        if reporter.pruned is not None and end.outcome == AttemptOutcome.CANCELED:
            reason = _pause_reason(artifacts, training, reporter.pruned)
            end = replace(end, outcome=AttemptOutcome.PRUNED, reason=reason)
    finally:
        try:
            reporter.flush(_END_PATIENCE)
        finally:
            reporter.close()
    return end


def _train(
    artifacts: ArtifactStore,
    training: Training,
    earlier: Earlier,
    dataset: Dataset,
    paths: Mapping[str, Path],
    folder: Path,
    reporter: StoreReporter,
) -> RunEnd:
    with heavy_imports():
        from mitorch_service.training.loop.engine import evaluate, train
        from mitorch_service.training.loop.file_reporter import FileReporter
        from mitorch_service.training.networks.weights import save_weights

    config = config_of(training)
    lists = read_splits(paths, str(dataset.ref))
    checkpoints = earlier.checkpoints()
    plots = folder / "plots"
    with (
        checkpoints,
        FileReporter(reporter, plots, earlier.results) as filing,
        local_processes(wanted_processes(config)),
    ):
        outcome = train(
            config,
            lists["train"],
            lists["val"],
            reporter=filing,
            base_weights=_fetch_base(artifacts, config, folder),
            checkpoints=checkpoints,
            plots=plots,
            segment=segment_of(training),
        )
    weights = folder / "model.pth"
    if outcome.paused or outcome.stopped:
        stopped = RunEnd(AttemptOutcome.CANCELED, reason="it was asked to stop")
        if outcome.stopped and reporter.pruned is None:
            return stopped
        save_weights(outcome.state_dict, weights)
        kept = {"model": artifacts.put(f"{training.id}/model.pth", weights)}
        end = replace(stopped, evaluation=dict(outcome.evaluation), artifacts=kept)
        if not outcome.paused:
            return end
        # what the search will look for is recorded first; a database that is slow has not answered the epoch yet
        reporter.flush(_END_PATIENCE)
        return replace(end, outcome=AttemptOutcome.PRUNED, reason=paused_after(outcome.epochs, training.max_epochs))
    save_weights(outcome.state_dict, weights)
    evaluation = dict(outcome.evaluation)
    if "test" in lists:
        measured = evaluate(config, lists["test"], weights, reporter=reporter)
        evaluation |= {f"test_{name.removeprefix('val_')}": value for name, value in measured.items()}
    addresses = {"model": artifacts.put(f"{training.id}/model.pth", weights)}
    return RunEnd(AttemptOutcome.COMPLETED, evaluation, artifacts=addresses | _store_plots(artifacts, training, plots))


def _pause_reason(artifacts: ArtifactStore, training: Training, reason: str) -> str:
    """Of a script says, where it is so, that it has not kept what it would need to go on from there."""
    pause_at = segment_of(training).pause_at
    if pause_at is None or not is_script(training.config):
        return reason
    kept = ScriptCheckpoints(artifacts, training.id, training.attempt).last_epoch()
    if kept >= pause_at:
        return reason
    return f"{reason}; then it starts again from epoch {kept + 1}: it has stored no checkpoint since"


def _store_plots(artifacts: ArtifactStore, training: Training, folder: Path) -> dict[str, str]:
    """Each picture and table by its name, and TensorBoard's files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stored = {
        path: artifacts.put(f"{training.id}/{path.relative_to(folder.parent).as_posix()}", path) for path in files
    }
    return {("tensorboard" if path.parent != folder else path.stem): address for path, address in stored.items()}


def _fetch_base(artifacts: ArtifactStore, config: TrainingConfig, folder: Path) -> Path | None:
    if config.base is None:
        return None
    key, target = f"{config.base}/model.pth", folder / "base.pth"
    if not artifacts.exists(key):
        raise DataError(f"base: the weights of training {config.base} are not in the artifact store any more.")
    artifacts.get(key, target)
    return target


def _failure(outcome: AttemptOutcome, error: BaseException) -> RunEnd:
    """Type, message and the end of the traceback, for the training's `error`."""
    message = mask_secrets(str(error) or type(error).__name__)
    log.error("%s: %s", type(error).__name__, message)
    # Our own errors say all that there is to say; anything else was not foreseen, so where it arose matters.
    trace = [] if isinstance(error, MiTorchError) else traceback.format_exception(error)
    for line in "".join(trace).splitlines():
        log.error("%s", mask_secrets(line))
    return RunEnd(outcome, error=TrainingErrorInfo(type=type(error).__name__, message=message), reason=message)


def _store_log(artifacts: ArtifactStore, training_id: str, attempt: int, log_file: Path, end: RunEnd) -> RunEnd:
    """The log becomes an artifact; its last lines go into the error, if there is one."""
    addresses = dict(end.artifacts)
    try:
        addresses["log"] = artifacts.put(f"{training_id}/attempt-{attempt}/log.txt", log_file)
    except ArtifactError as error:
        log.error("%s", error)  # the training's own end counts for more than its log
    if end.error is None:
        return replace(end, artifacts=addresses)
    lines = log_file.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
    return replace(end, artifacts=addresses, error=end.error.model_copy(update={"log_tail": lines}))


def _tell(store: Store, training: Training, worker: str, end: RunEnd, clock: Callable[[], datetime]) -> int:
    """Writes the end into the training: for good, or back to `new` where the budget allows another attempt."""
    lost = end.outcome == AttemptOutcome.LOST
    used = training.attempts_ended_as(end.outcome)
    again = (lost and used + 1 < MAX_LOST_ATTEMPTS) or (
        end.outcome == AttemptOutcome.FAILED and used < training.max_retries
    )
    if again:
        write = store.retry_attempt
    else:
        write = store.finish_training
        end = replace(end, outcome=AttemptOutcome.FAILED) if lost else end
    persistently(lambda: write(training.id, training.attempt, worker, clock(), end), _END_PATIENCE)
    log.info("attempt %d ended: %s%s", training.attempt, end.outcome, "; it will be tried again" if again else "")
    if lost:
        return EXIT_INFRASTRUCTURE
    return 1 if end.outcome in (AttemptOutcome.FAILED, AttemptOutcome.DIVERGED) else 0

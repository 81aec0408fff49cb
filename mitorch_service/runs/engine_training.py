"""One attempt of a training by the engine: a model from the config, trained on a data set."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.errors import DataError, MiTorchError
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.runs.attempt_end import canceled, ended_by_search, finished, lost, record_end
from mitorch_service.runs.context import END_PATIENCE, AttemptContext
from mitorch_service.runs.delivery import Upload, Work, deliver, patiently
from mitorch_service.runs.engine_config import engine_config
from mitorch_service.runs.resume import ResumePoint
from mitorch_service.runs.search.search_decision import paused
from mitorch_service.runs.silence import Silence
from mitorch_service.runs.step_watch import StepWatch
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.local_processes import local_processes, wanted_processes
from mitorch_service.training.loop.segment import segment_of
from mitorch_service.training.torch_imports import heavy_imports

if TYPE_CHECKING:
    from mitorch_service.training.data.image_list import ImageList
    from mitorch_service.training.loop.engine import TrainingOutcome


log = logging.getLogger("mitorch")


def run_engine(context: AttemptContext, resume_point: ResumePoint, reporter: StoreReporter) -> RunEnd:
    """Loads the data, trains from the resume point on and stores the weights. Raises what keeps it from training:
    DataError, ArtifactError, StoreError, TrainingDiverged, ProcessLost, ValueError, and whatever a user's data and
    plugins raise."""
    dataset = context.get_dataset()
    with context.dataset_files.local_paths(dataset) as paths:
        return _train(context, resume_point, reporter, dataset, paths)


def _train(
    context: AttemptContext,
    resume_point: ResumePoint,
    reporter: StoreReporter,
    dataset: Dataset,
    paths: Mapping[str, Path],
) -> RunEnd:
    with heavy_imports():
        from mitorch_service.training.loop.clean_evaluation import clean_figures, evaluate_clean
        from mitorch_service.training.loop.evaluation import evaluate, figures_of_test

    config = engine_config(context.training)
    lists = read_splits(paths, str(dataset.ref))
    plots = context.folder / "plots"
    outcome = _run_loop(context, resume_point, reporter, config, lists, plots)
    if outcome.paused:
        return _paused(context, reporter, outcome)
    if outcome.stopped:
        return _stopped(context, reporter, outcome)
    weights = _save_weights(context, outcome)
    evaluation = dict(outcome.evaluation)
    near = _near_images(dataset, "val")
    clean = evaluate_clean(config, lists["val"], lists["train"], weights, known=near, reporter=reporter)
    evaluation |= clean_figures(clean)
    if "test" in lists:
        evaluation |= figures_of_test(evaluate(config, lists["test"], weights, reporter=reporter, plots=plots / "test"))
        near = _near_images(dataset, "test")
        clean = evaluate_clean(config, lists["test"], lists["train"], weights, known=near, reporter=reporter)
        evaluation |= clean_figures(figures_of_test(clean))
    context.node.training_ended(evaluation, plots)
    uploads = [_model(context, weights), *_plots(context, plots)]
    work = Work(finished(context.training, evaluation, {}), uploads, outcome.epochs)
    return deliver(context, work, reporter.keep_unwritten)


def _run_loop(
    context: AttemptContext,
    resume_point: ResumePoint,
    reporter: StoreReporter,
    config: TrainingConfig,
    lists: Mapping[str, ImageList],
    plots: Path,
) -> TrainingOutcome:
    """Trains from the resume point on, watched: whoever asks gets a checkpoint, and a training that hangs is ended."""
    with heavy_imports():
        from mitorch_service.training.loop.engine import check_objective, train
        from mitorch_service.training.loop.file_reporter import FileReporter

    for name in context.training.trial.all_objectives() if context.training.trial is not None else ():
        check_objective(name, config.task_type, lists["train"])
    checkpoints = resume_point.open_checkpoints()
    checkpoints.request = context.checkpoint or checkpoints.request
    silence = None if config.max_silence is None else Silence(config.max_silence)
    with (
        checkpoints,
        StepWatch(reporter, silence, lambda reason: _end_as_lost(context, reason)) as watched,
        FileReporter(watched, plots, resume_point.results) as file_reporter,
        local_processes(wanted_processes(config)),
        checkpoints.request.while_training(),
    ):
        return train(
            config,
            lists["train"],
            lists["val"],
            reporter=file_reporter,
            base_weights=_fetch_base(context, config),
            checkpoints=checkpoints,
            plots=plots,
            segment=segment_of(context.training),
        )


def _near_images(dataset: Dataset, split: str) -> list[int]:
    """The near-duplicates of training images that ``midataset check`` found."""
    contents = dataset.contents.get(split)
    return [] if contents is None or contents.leaks is None else contents.leaks.near_images


def _paused(context: AttemptContext, reporter: StoreReporter, outcome: TrainingOutcome) -> RunEnd:
    """Stores the weights, then the values by which its search compares the trial, before the end says that it paused:
    a slow database may not have recorded the last epoch yet."""
    uploads = [_model(context, _save_weights(context, outcome))]
    end = ended_by_search(paused(outcome.epochs, context.training.max_epochs), outcome.evaluation, {})
    end = deliver(context, Work(end, uploads, outcome.epochs), reporter.keep_unwritten)
    reporter.flush(END_PATIENCE)
    return end


def _stopped(context: AttemptContext, reporter: StoreReporter, outcome: TrainingOutcome) -> RunEnd:
    """Stores the weights of a trial that its search stopped early, and nothing of one that was canceled."""
    decision = reporter.decision
    if decision is None:
        return canceled()
    uploads = [_model(context, _save_weights(context, outcome))]
    work = Work(ended_by_search(decision, outcome.evaluation, {}), uploads, outcome.epochs)
    return deliver(context, work, reporter.keep_unwritten)


def _save_weights(context: AttemptContext, outcome: TrainingOutcome) -> Path:
    from mitorch_service.training.networks.weights import save_weights

    file = context.folder / "model.pth"
    # on a full disk they wait in memory
    patiently(context, lambda: save_weights(outcome.state_dict, file, outcome.metadata))
    return file


def _model(context: AttemptContext, weights: Path) -> Upload:
    return Upload("model", f"{context.training.id}/model.pth", weights)


def _plots(context: AttemptContext, folder: Path) -> list[Upload]:
    """Each picture and table, by its name, and TensorBoard's files. Those of the test are named ``test_…``."""
    start, uploads = f"{context.training.id}/", []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        names = {folder: path.stem, folder / "test": f"test_{path.stem}"}
        key = start + path.relative_to(context.folder).as_posix()
        uploads.append(Upload(names.get(path.parent, "tensorboard"), key, path))
    return uploads


def _fetch_base(context: AttemptContext, config: TrainingConfig) -> Path | None:
    """The weights of the training that the config names as `base`. Raises DataError if they are gone."""
    if config.base is None:
        return None
    key, target = f"{config.base}/model.pth", context.folder / "base.pth"
    if not context.artifacts.exists(key):
        raise DataError(f"base: the weights of training {config.base} are no longer in the artifact store.")
    context.artifacts.get(key, target)
    return target


def _end_as_lost(context: AttemptContext, reason: str) -> None:
    """Records the end of a training that hangs, and ends this process."""
    log.error("%s", reason)
    try:
        record_end(context, lost(TrainingErrorInfo(type="TrainingHangs", message=reason)))
    except MiTorchError as error:
        log.error("%s", error)  # the next pass finds the attempt lost
    finally:
        os._exit(EXIT_INFRASTRUCTURE)

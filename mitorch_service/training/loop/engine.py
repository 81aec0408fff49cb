"""The training loop, from top to bottom. It knows no store and no command line, and reports to a Reporter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from mitorch_service.errors import DataError, InvalidInput, Problem, TrainingDiverged
from mitorch_service.models.config.training_config import BEST_THRESHOLD, METRICS, TrainingConfig, metrics_for
from mitorch_service.models.result import EpochResult
from mitorch_service.models.weights_metadata import WeightsMetadata
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import check_same_classes
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
from mitorch_service.training.loop.checkpoints.session_state import fingerprint
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.loop.evaluation import Validation, task_for
from mitorch_service.training.loop.feed import Feed, open_feed
from mitorch_service.training.loop.learner import Learner
from mitorch_service.training.loop.length import Length
from mitorch_service.training.loop.reporter import NullReporter, Reporter, TrainingPlan
from mitorch_service.training.loop.segment import Segment
from mitorch_service.training.loop.session import Session
from mitorch_service.training.loop.weights_metadata import describe_weights, numbered_alike, other_classes
from mitorch_service.training.networks.downloads import no_downloads
from mitorch_service.training.networks.fitting import load_fitting
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import StateDict, read_weights
from mitorch_service.training.optimization.averages import some_batches
from mitorch_service.training.seeding import seed_everything
from mitorch_service.training.tasks.base import Task


@dataclass(frozen=True)
class TrainingOutcome:
    """The weights and results of a training."""

    state_dict: StateDict  # in main memory
    evaluation: dict[str, float] = field(default_factory=dict)  # "val_loss" and metrics, of those weights
    epochs: int = 0  # whole ones
    stopped: bool = False  # by its reporter; the weights may be later than the evaluation
    paused: bool = False  # at the end of its segment; the evaluation is that of the weights
    history: list[EpochResult] = field(default_factory=list)  # of all epochs, including those before a resumption
    plots: list[Path] = field(default_factory=list)  # files, if a folder for them was given
    metadata: WeightsMetadata | None = None  # to be saved beside the weights


def train(
    config: TrainingConfig,
    train: ImageList,
    val: ImageList,
    *,
    reporter: Reporter | None = None,
    base_weights: Path | None = None,
    fast_dev_run: bool = False,
    checkpoints: Checkpoints | None = None,
    plots: Path | None = None,
    segment: Segment = Segment(),  # noqa: B008 - it is frozen
) -> TrainingOutcome:
    """Trains for `config.max_epochs` (or `max_steps`), validating after each epoch; returns the last weights, or those
    of the best epoch (`keep_weights`), with their evaluation.

    `config.base` and `config.dataset` are the caller's business: this takes a weights file and two lists, whose images
    must exist (`check_files`). `fast_dev_run` does one step and validates one batch. The same config, data and machine
    give the same curve to the last bit, also if the training resumes from the newest of `checkpoints`. `plots` is a
    folder for pictures of the final evaluation. With a `segment` that ends earlier, the training pauses at the end of
    that epoch, its state kept.

    If torchrun's environment names several processes, each calls this with the same arguments; only the first reports,
    saves and draws. Raises DataError, ModelError, InvalidInput, ProcessLost, and TrainingDiverged as soon as it sees a
    loss that is not finite (`on_divergence`), after it has reported that epoch.
    """
    check_same_classes(train, val)
    with Processes.joined() as processes:
        reporter = reporter if reporter is not None and processes.first else NullReporter()
        kept = checkpoints if processes.first else None
        setting = _Setting(config, processes, reporter, kept, base_weights, fast_dev_run, plots, segment)
        stored = processes.of_first(kept is not None and kept.latest() is not None)
        try:
            return _train(setting, train, val, fetches=not stored)
        except _NotResumed:
            return _train(setting, train, val, fetches=True)


class _NotResumed(Exception):
    """A checkpoint was not loaded, in whose expectation the network was built without its pretrained weights."""


@dataclass(frozen=True)
class _Setting:
    """The arguments of `train` that stay as they are."""

    config: TrainingConfig
    processes: Processes
    reporter: Reporter
    checkpoints: Checkpoints | None  # of the first process
    base_weights: Path | None
    fast_dev_run: bool
    plots: Path | None
    segment: Segment


def _train(setting: _Setting, train: ImageList, val: ImageList, *, fetches: bool) -> TrainingOutcome:
    """Trains from the first epoch, or from the checkpoint. Without `fetches` pretrained weights are not downloaded;
    raises _NotResumed if they turn out to be needed."""
    config, processes, reporter = setting.config, setting.processes, setting.reporter
    seed_everything(config.seed)
    task = task_for(config, train)
    check_objective(config.objective, config.task_type, train)
    if setting.base_weights is not None:
        network, train, val = _load_base(task, config, setting.base_weights, train, val, reporter, fetches)
    else:
        network = _build_network(task, config, train, fetches)
    metadata = describe_weights(config, network, train)
    learner = Learner(task, network.module, config, processes)
    at_most = 1 if setting.fast_dev_run else None
    with _open_feeds(config, train, val, task, network, processes, at_most) as (feed, val_feed):
        _check_shares(config, train, feed, processes)
        length = Length.of(config, len(feed), len(train), setting.fast_dev_run)
        of_data = fingerprint(config, train, val)
        session = Session(config, learner, length, processes, reporter, setting.checkpoints, of_data, setting.segment)
        validation = Validation(config, task, network, val, val_feed, processes, reporter)
        if not session.resume() and config.model.pretrained and not fetches:
            raise _NotResumed
        reporter.training_started(_plan(length, feed, val_feed, learner, len(train.classes), processes))
        while not session.is_over():
            if session.is_paused():
                return _described(_stopped(session, paused=True), metadata)
            try:
                if not _train_epoch(session, feed, reporter):
                    return _described(_stopped(session), metadata)
                learner.end_epoch(session.epoch + 1, lambda: some_batches(feed.epoch(session.epoch)))
                evaluator = validation.run(learner.saved, learner.precision)
                if evaluator is None:
                    return _described(_stopped(session), metadata)
                session.epoch_ended(validation.figures(evaluator))
            except TrainingDiverged as error:
                session.recover(error)
        best_kept = config.keep_weights == "best"
        if remark := session.selection.remark(session.epoch, session.evaluation, kept=best_kept):
            reporter.note(remark)
        return _described(_outcome(session, validation, setting.plots), metadata)


def check_objective(name: str | None, task_type: str, train: ImageList) -> None:
    """Raises InvalidInput for a metric that says nothing about so few classes."""
    classes = len(train.classes)
    if name in METRICS.get(task_type, ()) and name not in metrics_for(task_type, classes):
        problem = f"{name} of {classes} classes is always 1 and compares nothing: take top1_accuracy or val_loss"
        raise InvalidInput("config", [Problem("objective", problem)])


def _build_network(task: Task, config: TrainingConfig, train: ImageList, fetches: bool) -> Network:
    """Builds it, drawing the same random numbers whether or not there is a checkpoint: those that follow, such as of
    dropout, depend on it."""
    with nullcontext() if fetches else no_downloads():
        return task.build_network(config.model, len(train.classes))


def _load_base(
    task: Task, config: TrainingConfig, path: Path, train: ImageList, val: ImageList, reporter: Reporter, fetches: bool
) -> tuple[Network, ImageList, ImageList]:
    """Builds the network and loads what fits, pretrained weights only if something is missing. Returns the data with
    the classes in the order of the weights."""
    weights = read_weights(path)
    network = _build_network(task, config, train, fetches=False)
    fit = load_fitting(network.module, weights.state_dict, str(path))
    if config.model.pretrained and fetches and not fit.complete:
        seed_everything(config.seed)
        network = _build_network(task, config, train, fetches=True)
        fit = load_fitting(network.module, weights.state_dict, str(path))
    entry = f" ({weights.key})" if weights.key else ""
    reporter.note(f"Weights from {path}{entry}: {fit}{other_classes(weights, train)}")
    return network, numbered_alike(weights, train, str(path)), numbered_alike(weights, val, str(path))


@contextmanager
def _open_feeds(
    config: TrainingConfig,
    train: ImageList,
    val: ImageList,
    task: Task,
    network: Network,
    processes: Processes,
    at_most: int | None,
) -> Iterator[tuple[Feed, Feed]]:
    """Opens the feeds of this process's share of both splits."""

    def share(images: ImageList, training: bool) -> Feed:
        return open_feed(
            config,
            images,
            task,
            network,
            processes.device,
            training=training,
            at_most=at_most,
            rank=processes.rank,
            world_size=processes.world_size,
        )

    with share(train, True) as feed, share(val, False) as val_feed:
        yield feed, val_feed


def _train_epoch(session: Session, feed: Feed, reporter: Reporter) -> bool:
    """Trains for the rest of the session's epoch. False if the reporter asked to stop. Raises TrainingDiverged."""
    learner = session.learner
    progress = session.progress
    learner.start_epoch()
    steps = session.length.steps_of(session.epoch)
    for batch in feed.steps(session.steps_done, steps - session.step):
        if session.should_stop():
            return False
        rate = session.rate()
        samples = len(batch)
        loss = learner.loss(batch)
        progress.add(session.step, loss, samples, rate, learner.norm, learner.parts)
        if progress.bad is not None:
            session.raise_bad_loss()
        learner.learn(loss, rate, session.weight(samples), updates=session.updates())
        reporter.step_ended(session.epoch + 1, session.step + 1, steps, progress.last_loss)
        session.step_ended()
    session.training_done()
    return True


def _check_shares(config: TrainingConfig, train: ImageList, feed: Feed, processes: Processes) -> None:
    """Raises InvalidInput or DataError if a process had no image in some step: the others would wait for it."""
    count = processes.world_size
    if config.batch_size < count:
        problem = f"is shared by {count} processes, each of which needs an image: set {count} or more"
        raise InvalidInput("config", [Problem("batch_size", problem)])
    if len(feed) == 0:
        raise DataError(f"{train.name} has too few images for {count} processes ({len(train)}). Start fewer.")


def _stopped(session: Session, paused: bool = False) -> TrainingOutcome:
    return TrainingOutcome(
        session.learner.weights(),
        session.evaluation,
        session.epoch,
        stopped=not paused,
        paused=paused,
        history=session.history,
    )


def _outcome(session: Session, validation: Validation, plots: Path | None) -> TrainingOutcome:
    """The last weights, or those of the best epoch if they are kept."""
    if session.best is None or session.selection.epoch == session.epoch:
        weights = session.learner.weights()
        evaluation = session.evaluation
        drawn = validation.draw(session.learner, None, plots)
    else:
        weights = session.best
        evaluation = session.best_evaluation
        drawn = validation.draw(session.learner, weights, plots)
    return TrainingOutcome(weights, evaluation, session.epoch, history=session.history, plots=drawn)


def _described(outcome: TrainingOutcome, metadata: WeightsMetadata) -> TrainingOutcome:
    """Adds the metadata, with the threshold that the evaluation found for these weights."""
    threshold = outcome.evaluation.get(BEST_THRESHOLD, math.nan)
    known = threshold if math.isfinite(threshold) and not outcome.stopped else None  # stopped: of earlier weights
    return replace(outcome, metadata=metadata.model_copy(update={"threshold": known}))


def _plan(
    length: Length, feed: Feed, val_feed: Feed, learner: Learner, classes: int, processes: Processes
) -> TrainingPlan:
    several = f" and {processes.world_size - 1} more" if not processes.alone else ""
    numbers = f" ({learner.precision.name})" if learner.precision.name != "fp32" else ""
    return TrainingPlan(
        epochs=length.epochs,
        steps_per_epoch=length.steps,
        max_steps=length.total if length.by_steps else None,
        train_images=feed.images,
        val_images=val_feed.images,
        classes=classes,
        parameters=learner.parameters,
        device=f"{processes.device}{several}{numbers}",
    )

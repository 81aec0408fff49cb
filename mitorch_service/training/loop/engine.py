"""The training loop, from top to bottom. It knows no store and no command line, and reports to a Reporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from mitorch_service.errors import DataError, InvalidInput, Problem, TrainingDiverged
from mitorch_service.models.config import TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.data.image_list import ImageList, same_classes
from mitorch_service.training.device import best_device
from mitorch_service.training.loop.checkpoint import Checkpoints
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.loop.feed import Feed, open_feed
from mitorch_service.training.loop.learner import Learner
from mitorch_service.training.loop.reporter import NullReporter, Reporter, TrainingPlan
from mitorch_service.training.loop.segment import Segment
from mitorch_service.training.loop.session import Length, Session, fingerprint
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import StateDict, load_all, load_fitting, read_weights
from mitorch_service.training.optimization.averages import some_batches
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.seeding import seed_everything
from mitorch_service.training.tasks.base import Evaluator, Task, open_task


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
    """Trains for `config.max_epochs`, validating after each; returns the last weights, or those of the best epoch
    (`keep_weights`), with their evaluation.

    `config.base` and `config.dataset` are the caller's business: this takes a weights file and two lists, whose images
    must exist (`check_files`). `fast_dev_run` does one step and validates one batch. The same config, data and machine
    give the same curve to the last bit, also if the training resumes from the newest of `checkpoints`. `plots` is a
    folder for pictures of the final evaluation. With a `segment` that ends earlier, the training pauses at the end of
    that epoch, its state kept.

    If torchrun's environment names several processes, each calls this with the same arguments; only the first reports,
    saves and draws. Raises DataError, ModelError, InvalidInput, ProcessLost, and TrainingDiverged as soon as it sees a
    loss that is not finite (`on_divergence`), after it has reported that epoch.
    """
    same_classes(train, val)
    with Processes.joined() as processes:
        reporter = reporter if reporter is not None and processes.first else NullReporter()
        seed_everything(config.seed)
        task = _task_for(config, train)
        network = task.build_network(config.model, len(train.classes))
        if base_weights is not None:
            fit = load_fitting(network.module, read_weights(base_weights), str(base_weights))
            reporter.note(f"Weights from {base_weights}: {fit}")
        learner = Learner(task, network.module, config, processes)
        at_most = 1 if fast_dev_run else None
        with _open_feeds(config, train, val, task, network, processes, at_most) as (feed, val_feed):
            _check_shares(config, train, feed, processes)
            length = Length(1 if fast_dev_run else config.max_epochs, len(feed), len(train), config.batch_size)
            kept = checkpoints if processes.first else None
            session = Session(
                config, learner, length, processes, reporter, kept, fingerprint(config, train, val), segment
            )
            validation = _Validation(config, task, network, val.classes, val_feed, processes, reporter)
            session.resume()
            reporter.training_started(_plan(length, feed, val_feed, learner, len(train.classes), processes))
            while not session.is_over():
                if session.is_paused():
                    return _stopped(session, paused=True)
                try:
                    if not _train_epoch(session, feed, reporter):
                        return _stopped(session)
                    learner.end_epoch(session.epoch + 1, lambda: some_batches(feed.epoch(session.epoch)))
                    evaluator = validation.run(learner.saved, learner.precision)
                    if evaluator is None:
                        return _stopped(session)
                    session.epoch_ended(validation.figures(evaluator))
                except TrainingDiverged as error:
                    session.recover(error)
            return _outcome(session, validation, plots)


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
    for batch in feed.epoch(session.epoch, session.step):
        if session.should_stop():
            return False
        rate = session.rate()
        samples = len(batch)
        loss = learner.loss(batch)
        progress.add(session.step, loss, samples, rate, learner.norm)
        if progress.bad is not None:
            session.raise_bad_loss()
        learner.learn(loss, rate, session.weight(samples), updates=session.updates())
        reporter.step_ended(session.epoch + 1, session.step + 1, session.length.steps, progress.last_loss)
        session.step_ended()
    session.training_done()
    return True


class _Validation:
    """Evaluates one data set after each epoch; several processes share the work."""

    def __init__(
        self,
        config: TrainingConfig,
        task: Task,
        network: Network,
        classes: tuple[str, ...],
        feed: Feed,
        processes: Processes,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._task = task
        self._network = network
        self._classes = classes
        self._feed = feed
        self._processes = processes
        self._reporter = reporter
        self._last: Evaluator | None = None

    def run(self, module: nn.Module, precision: Precision) -> Evaluator | None:
        """Evaluates the module; None if the reporter asked to stop. The first process's evaluator has the samples of
        all. Random augmentations are those of epoch 0, each time the same."""
        self._last = None  # frees its memory first
        evaluator = self._task.evaluator(self._network, self._classes, self._config, self._processes.device)
        module.eval()
        with torch.no_grad():
            for batch in self._feed.epoch(0):
                if self._processes.alone and self._reporter.should_stop():
                    return None
                with precision.autocast():
                    evaluator.update(module, precision.arranged(batch))
        if not self._processes.alone:
            states = self._processes.to_first(evaluator.state())
            for state in (states or [])[1:]:
                evaluator.merge(state)
        self._last = evaluator
        return evaluator

    def figures(self, evaluator: Evaluator) -> dict[str, float]:
        """``val_loss`` and the metrics, the same in every process."""
        own = {"val_loss": evaluator.loss(), **evaluator.metrics()} if self._processes.first else {}
        return self._processes.of_first(own)

    def draw(self, learner: Learner, weights: StateDict | None, folder: Path | None) -> list[Path]:
        """Draws the last evaluation, or one of `weights` if they are not the last ones; does nothing unless the first
        process has a folder."""
        if not self._processes.of_first(folder is not None):
            return []
        if weights is not None:
            learner.saved.load_state_dict(weights)
        if weights is not None or self._last is None:
            self.run(learner.saved, learner.precision)
        return _draw(self._last, folder) if folder is not None and self._last is not None else []


def evaluate(
    config: TrainingConfig,
    data: ImageList,
    weights: Path,
    *,
    reporter: Reporter | None = None,
    fast_dev_run: bool = False,
    plots: Path | None = None,
) -> dict[str, float]:
    """Returns ``val_loss`` and the metrics of `weights` on `data`, prepared as ``augmentation.val`` says; empty if the
    reporter asked to stop.

    `fast_dev_run` evaluates one batch only. `plots` is a folder for pictures. Raises DataError, and ModelError unless
    the weights fit the config's network exactly.
    """
    seed_everything(config.seed)
    processes = Processes(device=best_device())
    data = data.as_kind(open_task(config.task_type).kind)
    task = _task_for(config, data)
    network = task.build_network(config.model, len(data.classes))
    load_all(network.module, read_weights(weights), str(weights))
    precision = Precision(config.precision, processes.device)
    module = precision.place(network.module)
    at_most = 1 if fast_dev_run else None
    with open_feed(config, data, task, network, processes.device, training=False, at_most=at_most) as feed:
        validation = _Validation(config, task, network, data.classes, feed, processes, reporter or NullReporter())
        evaluator = validation.run(module, precision)
    if evaluator is None:
        return {}
    if plots is not None:
        _draw(evaluator, plots)
    return validation.figures(evaluator)


def _task_for(config: TrainingConfig, data: ImageList) -> Task:
    task = open_task(config.task_type)
    if task.kind != data.kind:
        raise DataError(
            f"{data.name} is a {data.kind} set, but task_type {config.task_type} takes {task.kind} ones. "
            "Change task_type, or the labels."
        )
    if not data.classes:
        raise DataError(
            f"{data.name} has no box of any class: there is nothing to find. Name the classes in labels.txt beside it, "
            "or (mitest) by the training's data set."
        )
    return task


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


def _outcome(session: Session, validation: _Validation, plots: Path | None) -> TrainingOutcome:
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


def _draw(evaluator: Evaluator, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return evaluator.plots(folder)


def _plan(
    length: Length, feed: Feed, val_feed: Feed, learner: Learner, classes: int, processes: Processes
) -> TrainingPlan:
    several = f" and {processes.world_size - 1} more" if not processes.alone else ""
    numbers = f" ({learner.precision.name})" if learner.precision.name != "fp32" else ""
    return TrainingPlan(
        epochs=length.epochs,
        steps_per_epoch=length.steps,
        train_images=feed.images,
        val_images=val_feed.images,
        classes=classes,
        parameters=learner.parameters,
        device=f"{processes.device}{several}{numbers}",
    )

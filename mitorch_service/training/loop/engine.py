"""The training loop, from top to bottom. It knows of no store and no command line: it tells a Reporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mitorch_service.errors import DataError, InvalidInput, Problem, TrainingDiverged
from mitorch_service.models.config import TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splits import check_same_classes
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
    """What a training leaves."""

    state_dict: StateDict  # in main memory
    evaluation: dict[str, float] = field(default_factory=dict)  # "val_loss" and metrics, of those weights
    epochs: int = 0  # whole ones
    stopped: bool = False  # the reporter asked to; the weights may be later than the evaluation
    paused: bool = False  # as its segment says; the evaluation is that of the weights
    history: list[EpochResult] = field(default_factory=list)  # of all epochs, those before a resumption too
    plots: list[Path] = field(default_factory=list)  # files, where a folder for them was given


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
    """Trains for `config.max_epochs`, validating after each; leaves the last weights, or those of the best epoch
    (`keep_weights`), with their evaluation.

    `config.base` and `config.dataset` are the caller's business: this takes a file and two lists, whose
    images it expects to be there (`check_files`). `fast_dev_run` does one step and validates one batch. The
    same config, data and machine give the same curve to the last bit, also where it goes on from the newest of
    `checkpoints`. `plots` is a folder for pictures of the final evaluation. With a `segment` that ends sooner it pauses
    at the end of that epoch, its state kept.

    Where torchrun's environment names several processes, each calls this with the same arguments; only the first
    reports, saves and draws. Raises DataError, ModelError, InvalidInput, and TrainingDiverged as soon as a loss is
    seen not to be finite (`on_divergence`), after that epoch is reported.
    """
    check_same_classes(train, val)
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
    """Of this process's part of both splits."""
    rank, count = processes.rank, processes.world_size
    given: dict[str, Any] = {"device": processes.device, "at_most": at_most, "rank": rank, "world_size": count}
    with (
        open_feed(config, train, task, network, training=True, **given) as feed,
        open_feed(config, val, task, network, training=False, **given) as val_feed,
    ):
        yield feed, val_feed


def _train_epoch(session: Session, feed: Feed, reporter: Reporter) -> bool:
    """Does the rest of the session's epoch. False if the reporter asked to stop. Raises TrainingDiverged."""
    learner, progress, steps = session.learner, session.progress, session.length.steps
    learner.start_epoch()
    for batch in feed.epoch(session.epoch, session.step):
        if session.should_stop():
            return False
        rate, samples = session.rate(), len(batch)
        loss = learner.loss(batch)
        progress.add(session.step, loss, samples, rate, learner.norm)
        if progress.bad is not None:
            session.raise_bad_loss()
        learner.learn(loss, rate, session.weight(samples), moves=session.moves())
        reporter.step_ended(session.epoch + 1, session.step + 1, steps, progress.last_loss)
        session.step_ended()
    session.training_done()
    return True


class _Validation:
    """The evaluation of one data set, as often as there are epochs; of several processes, each takes a share."""

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
        self._config, self._task, self._network, self._classes = config, task, network, classes
        self._feed, self._processes, self._reporter = feed, processes, reporter
        self._last: Evaluator | None = None

    def run(self, module: nn.Module, precision: Precision) -> Evaluator | None:
        """None if the reporter asked to stop; the first process has all samples. Random augmentations are those of
        epoch 0, each time the same."""
        self._last = None  # it may hold much
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
        figures: dict[str, float] = self._processes.of_first(own)
        return figures

    def draw(self, learner: Learner, weights: StateDict | None, folder: Path | None) -> list[Path]:
        """Pictures of the last evaluation, or of one more if it was not of these weights; by the first process, if it
        has a folder."""
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
    """``val_loss`` and the metrics of `weights` on `data`, prepared as ``augmentation.val`` says.

    `fast_dev_run` takes one batch only. `plots` is a folder for pictures. Empty if the reporter asked to stop. Raises
    DataError, or ModelError unless the weights are exactly those of the config's network.
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
            f"{data.name} is a {data.kind} set, and task_type {config.task_type} takes {task.kind} ones. "
            "Change task_type, or the labels."
        )
    if not data.classes:
        raise DataError(
            f"{data.name} has no box of any class: there is nothing to find. Name the classes in labels.txt beside it, "
            "or (mitest) by the training's data set."
        )
    return task


def _check_shares(config: TrainingConfig, train: ImageList, feed: Feed, processes: Processes) -> None:
    """A process without an image in some step would leave the others waiting for it."""
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
    last = session.best is None or session.selection.epoch == session.epoch
    weights, evaluation = session.learner.weights(), session.evaluation
    if session.best is not None and not last:
        weights, evaluation = session.best, session.best_evaluation
    drawn = validation.draw(session.learner, None if last else weights, plots)
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

"""The training loop, from top to bottom. It knows of no store and no command line: it tells a Reporter."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mitorch_service.errors import TrainingDiverged
from mitorch_service.models.config import AugmentationStep, TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.augmentation import build_augmentation
from mitorch_service.training.device import best_device
from mitorch_service.training.evaluator import Evaluator
from mitorch_service.training.image_list import ImageList, same_classes
from mitorch_service.training.images import Images
from mitorch_service.training.loaders import Batches, EpochBatches, default_workers
from mitorch_service.training.lr_schedule import learning_rate
from mitorch_service.training.network import Network, build_network, has_batch_norm
from mitorch_service.training.optimizer import build_optimizer
from mitorch_service.training.reporter import NullReporter, Reporter, TrainingPlan
from mitorch_service.training.seeding import seed_everything
from mitorch_service.training.weights import StateDict, cpu_state_dict, load_all, load_fitting, read_weights


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training leaves."""

    state_dict: StateDict  # in main memory
    evaluation: dict[str, float] = field(default_factory=dict)  # "val_loss" and metrics, of the last whole epoch
    epochs: int = 0  # whole ones
    stopped: bool = False  # the reporter asked to; the weights may be later than the evaluation


def train(
    config: TrainingConfig,
    train: ImageList,
    val: ImageList,
    *,
    reporter: Reporter | None = None,
    base_weights: Path | None = None,
    fast_dev_run: bool = False,
) -> TrainingOutcome:
    """Trains for `config.max_epochs`, validating after each; the last validation is the final evaluation.

    `config.base` and `config.dataset` are the caller's business: this takes a file and two lists, whose
    images it expects to be there (`check_files`). `fast_dev_run` does one step and validates one batch. The
    same config, data and machine give the same curve to the last bit. Raises DataError, ModelError,
    InvalidInput, and TrainingDiverged as soon as a loss is not finite, after that epoch is reported.
    """
    # Longer than our functions are: one reads a training loop from top to bottom, or not at all.
    # Longer than other functions: the loop is to be read from top to bottom, in one place.
    same_classes(train, val)
    reporter = reporter or NullReporter()
    seed_everything(config.seed)
    device = best_device()
    network = build_network(config.model, len(train.classes))
    if base_weights is not None:
        fit = load_fitting(network.module, read_weights(base_weights), str(base_weights))
        reporter.note(f"Weights from {base_weights}: {fit}")
    module = network.module.to(device)
    optimizer = build_optimizer(config.optimizer, module, config.lr_scheduler.base_lr)

    epochs = 1 if fast_dev_run else config.max_epochs
    evaluation: dict[str, float] = {}
    with (
        _train_batches(config, train, network, device, fast_dev_run) as train_batches,
        _eval_batches(config, val, network, device, fast_dev_run) as val_batches,
    ):
        steps = len(train_batches)
        reporter.training_started(_plan(epochs, train_batches, val_batches, module, len(train.classes), device))
        for epoch in range(epochs):
            progress = _EpochProgress(epoch + 1)
            module.train()
            for step, (images, labels) in enumerate(train_batches.epoch(epoch)):
                if reporter.should_stop():
                    return TrainingOutcome(cpu_state_dict(module), evaluation, epoch, stopped=True)
                rate = learning_rate(config.lr_scheduler, epoch * steps + step, steps, epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                logits = module(images.to(device, non_blocking=True))
                loss = cross_entropy(logits, labels.to(device, non_blocking=True))
                progress.add(loss.item(), len(labels), rate)
                if not math.isfinite(progress.last_loss):
                    reporter.epoch_ended(progress.result(train_loss=progress.last_loss))
                    raise TrainingDiverged(epoch + 1, step + 1, progress.last_loss, rate)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                reporter.step_ended(epoch + 1, step + 1, steps, progress.last_loss)

            progress.training_done()
            evaluator = _run_evaluation(module, val_batches, len(train.classes), device, reporter)
            if evaluator is None:
                return TrainingOutcome(cpu_state_dict(module), evaluation, epoch, stopped=True)
            evaluation = {"val_loss": evaluator.loss(), **evaluator.metrics()}
            reporter.epoch_ended(progress.result(evaluation=evaluation))
            if not math.isfinite(evaluation["val_loss"]):
                raise TrainingDiverged(epoch + 1, steps, evaluation["val_loss"], progress.rate)
    return TrainingOutcome(cpu_state_dict(module), evaluation, epochs)


def evaluate(
    config: TrainingConfig,
    data: ImageList,
    weights: Path,
    *,
    reporter: Reporter | None = None,
    fast_dev_run: bool = False,
) -> dict[str, float]:
    """``val_loss`` and the metrics of `weights` on `data`, prepared as ``augmentation.val`` says.

    `fast_dev_run` takes one batch only. Empty if the reporter asked to stop. Raises DataError, or ModelError
    unless the weights are exactly those of the config's network.
    """
    seed_everything(config.seed)
    device = best_device()
    network = build_network(config.model, len(data.classes))
    load_all(network.module, read_weights(weights), str(weights))
    module = network.module.to(device)
    with _eval_batches(config, data, network, device, fast_dev_run) as batches:
        evaluator = _run_evaluation(module, batches, len(data.classes), device, reporter or NullReporter())
    return {"val_loss": evaluator.loss(), **evaluator.metrics()} if evaluator else {}


def _run_evaluation(
    module: nn.Module, batches: Batches, classes: int, device: torch.device, reporter: Reporter
) -> Evaluator | None:
    """None if the reporter asked to stop. Random augmentations are those of epoch 0, each time the same."""
    evaluator = Evaluator(classes, device)
    module.eval()
    with torch.inference_mode():
        for images, labels in batches.epoch(0):
            if reporter.should_stop():
                return None
            logits = module(images.to(device, non_blocking=True))
            evaluator.update(logits, labels.to(device, non_blocking=True))
    return evaluator


class _EpochProgress:
    """The sums of an epoch's training part, and its clock."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._start = time.perf_counter()
        self._training_seconds = 0.0
        self._loss_sum, self._samples = 0.0, 0
        self.last_loss, self.rate = math.nan, 0.0

    def add(self, loss: float, samples: int, rate: float) -> None:
        self._loss_sum += loss * samples
        self._samples += samples
        self.last_loss, self.rate = loss, rate

    def training_done(self) -> None:
        self._training_seconds = time.perf_counter() - self._start

    def result(self, *, train_loss: float | None = None, evaluation: dict[str, float] | None = None) -> EpochResult:
        metrics = dict(evaluation or {})
        seconds = time.perf_counter() - self._start
        return EpochResult(
            epoch=self._number,
            train_loss=self._loss_sum / self._samples if train_loss is None else train_loss,
            val_loss=metrics.pop("val_loss", None),
            metrics=metrics,
            learning_rate=self.rate,
            epoch_seconds=seconds,
            samples_per_second=self._samples / (self._training_seconds or seconds),
            finished_at=datetime.now(UTC),
        )


def _train_batches(
    config: TrainingConfig, train: ImageList, network: Network, device: torch.device, fast_dev_run: bool
) -> Batches:
    """Leaves out a last batch of one image where there is batch normalisation: it has no variance to take."""
    order = EpochBatches(
        len(train),
        config.batch_size,
        shuffle_seed=config.seed,
        drop_single=has_batch_norm(network.module),
        at_most=1 if fast_dev_run else None,
    )
    return _batches(config, train, config.augmentation.train, order, network, device, fast_dev_run)


def _eval_batches(
    config: TrainingConfig, data: ImageList, network: Network, device: torch.device, fast_dev_run: bool
) -> Batches:
    order = EpochBatches(len(data), config.batch_size, at_most=1 if fast_dev_run else None)
    return _batches(config, data, config.augmentation.val, order, network, device, fast_dev_run)


def _batches(
    config: TrainingConfig,
    image_list: ImageList,
    steps: Sequence[AugmentationStep],
    order: EpochBatches,
    network: Network,
    device: torch.device,
    fast_dev_run: bool,
) -> Batches:
    size = config.model.input_size
    images = Images(image_list, build_augmentation(steps, size, network.mean, network.std), config.seed)
    workers = config.num_workers if config.num_workers is not None else default_workers(len(images), size)
    return Batches(images, order, workers=0 if fast_dev_run else workers, pin_memory=device.type == "cuda")


def _plan(
    epochs: int, train: Batches, val: Batches, module: nn.Module, classes: int, device: torch.device
) -> TrainingPlan:
    return TrainingPlan(
        epochs=epochs,
        steps_per_epoch=len(train),
        train_images=train.images,
        val_images=val.images,
        classes=classes,
        parameters=sum(one.numel() for one in module.parameters() if one.requires_grad),
        device=str(device),
    )

"""Images per second of training: our engine against a bare PyTorch loop with the same model, batches and arithmetic.

    python -m tests.benchmarks.train_throughput [--quick] [--model resnet18] [--input 96] [--batch 32] [--images 512]

`--quick` trains on a quarter as many images in all, of which less is to be concluded.

Two data sets are generated: JPEGs like a camera's (`--jpeg` pixels), which both decode and augment alike (a random
resized crop, a flip), and `in memory`: for the floor, normalised tensors; for the engine, images of the input size in
its cache. The bare loop does as the ImageNet example of PyTorch: torchvision's transforms to normalised floats in
workers, pinned memory, copies without waiting. Both loops train whole epochs in turns, in one process; a figure is the
median of the rounds, over the training part of the epochs, first epochs compared with first ones and later with later
ones. The engine decodes every image in its first; later ones find in the cache what `--cache` GiB hold. Of `in memory`
without workers there is the processor time of a step too, which other work on the machine hardly changes. timm's own
train.py is not part of the package on PyPI (there is no timm/train.py in it), so that only the bare loop is compared
with.

Prints one JSON object a line: value, floor, and their ratio (more is better). On CUDA: bf16, channels_last.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.device import best_device
from mitorch_service.training.loop.engine import train
from mitorch_service.training.loop.reporter import NullReporter
from tests.benchmarks.measuring import report

CLASSES = 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STEPS = {"jpeg": ["random_resized_crop", "horizontal_flip"], "in memory": ["resize"]}


class Rates(NullReporter):
    """Keeps the images per second of each epoch's training part."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.steps: list[float] = []  # processor seconds of a step, the mean of each epoch's but the first
        self._begin = 0.0

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if step == 1:
            self._begin = time.process_time()
        elif step == steps:
            self.steps.append((time.process_time() - self._begin) / (steps - 1))

    def epoch_ended(self, result: EpochResult) -> None:
        assert result.samples_per_second is not None
        self.rates.append(result.samples_per_second)


class Files(Dataset[tuple[Tensor, int]]):
    """The floor's data set, as in PyTorch's ImageNet example."""

    def __init__(self, image_list: ImageList, size: int) -> None:
        crops = [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), v2.PILToTensor()]
        self._transform = v2.Compose([*crops, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
        self._list = image_list

    def __len__(self) -> int:
        return len(self._list)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        target = self._list.target(index)
        assert isinstance(target, int)
        with Image.open(self._list.location(index).path) as image:
            return self._transform(image.convert("RGB")), target


class Floor:
    """The bare loop."""

    def __init__(self, options: argparse.Namespace, device: torch.device, batches: Any) -> None:
        self._batches, self._device = batches, device
        self.steps: list[float] = []  # as in `Rates`
        self._cuda = device.type == "cuda"
        self._layout = torch.channels_last if self._cuda else torch.contiguous_format
        module = timm.create_model(options.model, num_classes=CLASSES)
        self._module = module.to(device, memory_format=self._layout).train()
        self._optimizer = torch.optim.SGD(self._module.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-5)

    def epoch(self) -> float:
        """Images per second of one epoch."""
        images, begin, marks = 0, time.perf_counter(), []
        for loaded, targets in self._batches:
            pixels = loaded.to(self._device, memory_format=self._layout, non_blocking=True)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._cuda):
                logits = self._module(pixels)
                loss = nn.functional.cross_entropy(logits, targets.to(self._device, non_blocking=True))
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            images += len(targets)
            marks.append(time.process_time())
        self.steps.append((marks[-1] - marks[0]) / max(len(marks) - 1, 1))
        if self._cuda:
            torch.cuda.synchronize()
        return images / (time.perf_counter() - begin)


class InMemory:
    """Shuffled batches of tensors that are there already."""

    def __init__(self, images: int, size: int, batch: int) -> None:
        self._pixels, self._targets = torch.randn(images, 3, size, size), torch.arange(images) % CLASSES
        self._batch = batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in torch.randperm(len(self._targets)).split(self._batch):  # type: ignore[no-untyped-call]
            yield self._pixels[chosen], self._targets[chosen]


def write_images(folder: Path, images: int, size: tuple[int, int], suffix: str) -> ImageList:
    """Pictures with coarse shapes and fine noise, about as large in bytes as photographs are."""
    rng = np.random.default_rng(0)
    for index in range(images):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        pixels = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (size[1], size[0], 1), np.int16)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.{suffix}", quality=90)
    text = "".join(f"{index}.{suffix} {index % CLASSES}\n" for index in range(images))
    (folder / "train.txt").write_text(text)
    (folder / "val.txt").write_text("".join(text.splitlines(keepends=True)[:CLASSES]))
    return read_image_list(folder / "train.txt")


def config(options: argparse.Namespace, data: str, device: torch.device) -> TrainingConfig:
    """The engine's settings: those of the floor."""
    return TrainingConfig.model_validate(
        {
            "model": {"name": options.model, "input_size": options.input},
            "optimizer": {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-5},
            "lr_scheduler": {"name": "constant", "base_lr": 0.01},
            "precision": "bf16" if device.type == "cuda" else "fp32",
            "augmentation": {"train": STEPS[data], "val": "resize"},
            "batch_size": options.batch,
            "max_epochs": 1 + options.epochs,
            "num_workers": 0 if data == "in memory" and not options.memory_workers else options.workers,
            "data": {"cache_memory": options.cache},
        }
    )


def loader(options: argparse.Namespace, image_list: ImageList, device: torch.device) -> Any:
    """The floor's, whose processes start with its first epoch, as the engine's do."""
    workers: dict[str, Any] = {"num_workers": options.workers, "persistent_workers": options.workers > 0}
    files = Files(image_list, options.input)
    return DataLoader(files, options.batch, shuffle=True, pin_memory=device.type == "cuda", **workers)


def compare(options: argparse.Namespace, data: str, image_list: ImageList, device: torch.device) -> None:
    """Prints the figures for one data set."""
    in_memory = InMemory(len(image_list), options.input, options.batch)
    floors: list[float] = []
    floor_firsts, firsts, laters, steps, floor_steps = [], [], [], [], []
    val = read_image_list(image_list.folder / "val.txt")
    for round_number in range(1 + options.repeats):
        batches = loader(options, image_list, device) if data == "jpeg" else in_memory
        floor = Floor(options, device, batches)  # as new as the engine's: learned weights make other numbers
        measured = [floor.epoch() for _ in range(1 + options.epochs)]
        rates = Rates()
        train(config(options, data, device), image_list, val, reporter=rates)
        if round_number:  # the first warms up
            floor_firsts.append(measured[0])
            floors += measured[1:]
            firsts.append(rates.rates[0])
            laters += rates.rates[1:]
            floor_steps += floor.steps[1:]
            steps += rates.steps[1:]
    where = f"{device.type}, {options.model}, {options.input} px, batch {options.batch}, {options.workers} workers"
    report(
        f"training, {data}, first epoch ({where})", statistics.median(firsts), "1/s", statistics.median(floor_firsts)
    )
    report(f"training, {data}, later epochs ({where})", statistics.median(laters), "1/s", statistics.median(floors))
    if data == "in memory" and not options.memory_workers:
        value, least = 1000 * statistics.median(steps), 1000 * statistics.median(floor_steps)
        report(f"training, {data}, processor time of a step ({where})", value, "ms", least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--input", type=int, default=96)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--jpeg", type=int, nargs=2, default=(500, 375), metavar=("W", "H"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-workers", action="store_true", help="use the workers for images in memory too")
    parser.add_argument("--cache", type=float, default=1.0, help="GiB of decoded images that the engine keeps")
    parser.add_argument("--epochs", type=int, default=2, help="measured in each round, after one more")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=tuple(STEPS), help="this data set alone")
    parser.add_argument("--quick", action="store_true", help="fewer images, epochs and rounds")
    options = parser.parse_args()
    if options.quick:
        options.images, options.epochs, options.repeats = min(options.images, 256), 1, 2
    device = best_device()
    print(json.dumps({"device": str(device), "torch": torch.__version__, "cores": os.cpu_count()}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for data, size, suffix in (
            ("in memory", (options.input, options.input), "png"),
            ("jpeg", tuple(options.jpeg), "jpg"),
        ):
            if options.only in (None, data):
                place = Path(folder, suffix)
                place.mkdir()
                compare(options, data, write_images(place, options.images, size, suffix), device)


if __name__ == "__main__":
    main()

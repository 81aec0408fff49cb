"""The process that `dataset_memory` measures: reads a data set and loads from it."""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mitorch_service.models.config.training_config import AugmentationStep
from mitorch_service.training.augmentation.pipeline import build_augmentation
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.batches.loaders import Batches
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import Images
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop import engine  # noqa: F401 - what a training has in memory before it reads anything

BATCHES, BATCH = 100, 64


def main() -> None:
    train, val, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    imports = memory("/proc/self/status", "VmRSS")
    begin, processor = time.perf_counter(), time.process_time()
    image_list = read_splits({"train": train, "val": val})["train"]
    found = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - processor}
    found |= {"imports": imports, "peak": memory("/proc/self/status", "VmHWM")}
    if workers:
        found["worker"] = private_memory(our_loader(image_list, workers))
        found["list_worker"] = private_memory(plain_loader(image_list, workers))
    print(json.dumps(found))


def our_loader(image_list: ImageList, workers: int) -> Any:
    augmentation = build_augmentation([AugmentationStep(name="resize")], 32, (0.5,) * 3, image_list.kind)
    order = EpochBatches(len(image_list), BATCH, shuffle_seed=0, at_most=BATCHES)
    return Batches(Images(image_list, augmentation, 0), order, list, workers=workers).epoch(0)  # type: ignore[arg-type]


class PlainList(Dataset[int]):
    """A list as in many scripts: loads nothing, but touches all entries."""

    def __init__(self, image_list: ImageList) -> None:
        self._entries = [(image_list.images[index], image_list.target(index)) for index in range(len(image_list))]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> int:
        return len(self._entries[index][0])


def plain_loader(image_list: ImageList, workers: int) -> Any:
    chosen = torch.randperm(len(image_list))[: BATCHES * BATCH].tolist()
    return iter(DataLoader(PlainList(image_list), BATCH, sampler=chosen, num_workers=workers))


def private_memory(batches: Any) -> float:
    """The mean of the loading processes, MB, after all but the last batch."""
    for number, _ in enumerate(batches, 1):
        if number == BATCHES - 1:
            workers = multiprocessing.active_children()
            return sum(map(private_part, workers)) / len(workers)
    raise RuntimeError("too few batches")


def private_part(process: Any) -> float:
    return sum(memory(f"/proc/{process.pid}/smaps_rollup", f"Private_{kind}") for kind in ("Clean", "Dirty"))


def memory(path: str, field: str) -> float:
    """MB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


if __name__ == "__main__":
    main()

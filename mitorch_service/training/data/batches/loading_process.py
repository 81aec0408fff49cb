"""The work of the processes that load images: they collate, pickle and hand over."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mitorch_service.training.data.batches.batch import BadImage, Batch, Sample
from mitorch_service.training.data.batches.delivery import Loaded, PickledBatch

if TYPE_CHECKING:
    from types import TracebackType

Collate = Callable[[list[Sample]], Batch]


class Collator:
    """Separates loaded from bad images and collates the loaded ones; runs in the loading processes."""

    def __init__(self, collate: Collate, refill: bool) -> None:
        self._collate = collate
        self._refill = refill

    def __call__(self, loaded: list[Sample | BadImage]) -> Loaded:
        good = [sample for sample in loaded if not isinstance(sample, BadImage)]
        bad = tuple(sample for sample in loaded if isinstance(sample, BadImage))
        if not good:
            return Loaded(None, bad)
        if self._refill:
            good += [good[index % len(good)] for index in range(len(bad))]
        return Loaded(self._collate(good), bad)


class Sender:
    """Collates in a loading process, and pickles there as well."""

    def __init__(self, collate: Collator) -> None:
        self._collate = collate

    def __call__(self, loaded: list[Sample | BadImage]) -> PickledBatch | Loaded:
        return PickledBatch.of(self._collate(loaded))


def prepare_process(worker: int) -> None:
    """Runs as each loading process starts. The collector would write into all objects, 100 MB of modules, and so copy
    memory that is shared with the parent process."""
    gc.freeze()
    sys.excepthook = _tell_unless_parent_ended


def _tell_unless_parent_ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an error, but none of the thread that hands over files while the parent process ends."""
    if not issubclass(kind, ConnectionError):
        sys.__excepthook__(kind, error, trace)

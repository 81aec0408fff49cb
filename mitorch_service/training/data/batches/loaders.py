"""Batches of images, loaded in this process or in others. The engine opens them with `feed.open_feed`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import active_children
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch.utils.data import DataLoader

from mitorch_service.errors import DataError
from mitorch_service.training.data.batches.batch import BadImage, Batch, Sample
from mitorch_service.training.data.batches.delivery import (
    Loaded,
    PickledBatch,
    Receipt,
    delivery_error,
    failure_text,
    raise_file_limit,
)
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.batches.loading_process import Collate, Collator, Sender, prepare_process
from mitorch_service.training.data.cpu_count import usable_cores
from mitorch_service.training.data.images.loading import Images
from mitorch_service.wording.control_characters import one_line
from mitorch_service.wording.counted import are, counted

# Measured on one core of 2023: decoding and augmenting a small image, and each pixel of the input in addition.
_SECONDS_PER_IMAGE = 3e-4
_SECONDS_PER_PIXEL = 1e-7
_WORTH_WORKERS = 5.0  # seconds of loading per epoch: below, processes cost more time than they save
_PREFETCHED = 4  # batches that each process keeps ready, as some take longer than others
_POLL = 5.0  # seconds after which a wait for a batch looks whether the processes are alive
_KILLED = 5.0  # seconds that the end of a killed process may take
_STALL_TOLD = 60.0  # seconds without a batch after which a warning is logged, and again

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

log = logging.getLogger("mitorch")

OnError = Literal["fail", "skip", "report"]
_Arrived = Loaded | PickledBatch


class Batches:
    """Loads, transforms and collates the batches of each epoch, in `workers` processes (0: in this one).

    An image that cannot be loaded raises DataError (``fail``), or is left out and its message kept (``skip``; with
    ``report`` nothing is logged, and a batch may lack all its images); with `refill`, for training, another image of
    the batch takes its place. `pin_memory` puts batches into memory that CUDA
    copies from directly. `stall_timeout`: seconds without a batch from the processes after which it gives up.
    """

    def __init__(
        self,
        images: Images,
        order: EpochBatches,
        collate: Collate,
        *,
        workers: int,
        pin_memory: bool = False,
        on_error: OnError = "fail",
        refill: bool = False,
        stall_timeout: float = 600.0,
    ) -> None:
        self._images = images
        self._order = order
        self._on_error = on_error
        self._open = partial(_loader, images, order, Collator(collate, refill), workers, pin_memory)
        self._loader = self._open()
        self._processes: set[BaseProcess] = set()
        self._stall_timeout = stall_timeout
        self.bad: dict[str, None] = {}  # messages of the images left out, in order, each once
        self.left_out: dict[int, str] = {}  # their numbers in the data set, of the last epoch, and messages

    def __len__(self) -> int:
        return len(self._order)

    @property
    def images(self) -> int:
        """The number of images in the data set."""
        return len(self._images)

    def epoch(self, number: int, first: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Yields the batches of one epoch (0 is the first), from batch `first` on, before `stop`. Raises DataError for
        an image that cannot be loaded (``fail``), for a batch of which none can, and for one that does not arrive."""
        self._order.epoch = number
        self._order.first, self._order.stop = first, stop
        known = len(self.bad)
        self.left_out.clear()  # one that could not be read may be back
        for loaded in self._arriving():
            self._check(loaded)
            if loaded.batch is not None:
                yield loaded.batch
        if self._on_error != "report" and (new := list(self.bad)[known:]):
            images = f"{counted(len(new), 'image')} {are(len(new))}"
            log.warning("%s left out, as loading fails (data.on_error); the first: %s", images, one_line(new[0]))

    def delivered(self, number: int) -> list[int]:
        """The images of the last epoch, whose number is given, in its order: if it was whole and without `refill`."""
        self._order.epoch, self._order.first, self._order.stop = number, 0, None
        return [key.index for keys in self._order for key in keys if key.index not in self.left_out]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Closes files and ends the loading processes. Raises DataError if one of them has died, which PyTorch reports
        as a RuntimeError anywhere in this process."""
        self._images.close()
        del self._loader
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            raise delivery_error(str(error)) from error

    def _arriving(self) -> Iterator[Loaded]:
        arriving = self._start()
        while True:
            try:
                loaded = self._patiently(partial(_attempt, arriving))
            except StopIteration:
                return
            if isinstance(loaded, PickledBatch):
                loaded = self._patiently(partial(Receipt(loaded).wait, _POLL))
            assert isinstance(loaded, Loaded)
            yield loaded

    def _start(self) -> Iterator[_Arrived]:
        others = set(active_children())
        try:
            return iter(self._loader)
        except OSError as error:  # no process or file is left for another loading process
            raise delivery_error(failure_text(error)) from error
        except RuntimeError as error:
            if not _is_timeout(error):
                raise
            self._loader = self._open()  # processes still busy with an epoch that was left early
            return iter(self._loader)
        finally:
            self._processes |= set(active_children()) - others

    def _patiently(self, attempt: Callable[[], _Arrived | None]) -> _Arrived:
        """Repeats an attempt of `_POLL` seconds until it finds something. Raises DataError after too long."""
        waited = 0.0
        while (found := attempt()) is None:
            waited += _POLL
            if waited >= self._stall_timeout:
                self._kill_processes()
                raise _stalled(waited)
            if waited % _STALL_TOLD == 0:
                log.warning("no batch of images for %g s; giving up after %g s", waited, self._stall_timeout)
        return found

    def _kill_processes(self) -> None:
        """Kills the loading processes, as those that are stopped do not end when they are told to."""
        for process in self._processes:
            with suppress(RuntimeError):  # by which PyTorch tells of the death
                process.kill()
                process.join(_KILLED)

    def _check(self, loaded: Loaded) -> None:
        if loaded.problem:
            raise delivery_error(loaded.problem)
        if loaded.bad and self._on_error == "fail":
            raise DataError(f"{loaded.bad[0].message} To train without such images, set data.on_error to 'skip'.")
        self.bad |= dict.fromkeys(bad.message for bad in loaded.bad)
        self.left_out |= {bad.index: bad.message for bad in loaded.bad}
        if loaded.batch is None and self._on_error != "report":
            raise DataError(f"No image of a whole batch can be loaded: {loaded.bad[0].message}")


def _attempt(arriving: Iterator[_Arrived]) -> _Arrived | None:
    """The next batch, None if there is none yet. Raises StopIteration, or DataError if a process has ended."""
    try:
        return next(arriving)
    except (EOFError, ConnectionError) as error:
        raise delivery_error(failure_text(error)) from error
    except RuntimeError as error:
        if not _is_timeout(error):
            raise
    return None


def _is_timeout(error: RuntimeError) -> bool:
    return str(error).startswith("DataLoader timed out")


def _stalled(seconds: float) -> DataError:
    return DataError(
        f"No batch of images has arrived for {seconds:g} s. The processes that load them hang, most often on storage "
        "that does not answer, or in an augmentation step. Where batches take so long, raise data.stall_timeout."
    )


def default_workers(images: int, input_size: int) -> int:
    """The number of loading processes worth starting: none for a small set, else one per core this process may use."""
    if images * (_SECONDS_PER_IMAGE + _SECONDS_PER_PIXEL * input_size**2) < _WORTH_WORKERS:
        return 0
    return min(usable_cores(), torch.get_num_threads())


def _loader(
    images: Images, order: EpochBatches, collate: Collator, workers: int, pin_memory: bool
) -> DataLoader[Sample | BadImage]:
    if workers:
        raise_file_limit()
    with warnings.catch_warnings():  # more processes than cores are the choice of the config
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        return DataLoader(
            images,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=Sender(collate) if workers else collate,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            worker_init_fn=prepare_process if workers else None,
            prefetch_factor=_PREFETCHED if workers else None,
            timeout=_POLL if workers else 0,
            generator=torch.Generator().manual_seed(0),  # else it draws a seed from the network's generator
        )

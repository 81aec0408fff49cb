"""Passes loaded batches from the loading processes to the main one."""

from __future__ import annotations

import pickle
import resource
from multiprocessing.reduction import ForkingPickler
from threading import Thread
from typing import NamedTuple, cast

from mitorch_service.errors import DataError
from mitorch_service.training.data.batches.batch import BadImage, Batch

_WANTED_FILES = 65536
_FAILURES = (OSError, EOFError, RuntimeError)  # no file or memory is left, or the process died


class Loaded(NamedTuple):
    """One batch from a loading process."""

    batch: Batch | None  # None if no image of it could be loaded
    bad: tuple[BadImage, ...] = ()
    problem: str = ""  # why the batch did not arrive


class PickledBatch:
    """A loaded batch in bytes and, for its tensors, in shared memory.

    PyTorch's queue pickles in a thread of its own, which prints an error and drops the batch, for which the main
    process would then wait. What is in bytes by then has had its errors.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    @classmethod
    def of(cls, loaded: Loaded) -> PickledBatch | Loaded:
        """The batch to send, or in its place the problem that it cannot be sent."""
        try:
            return cls(bytes(ForkingPickler.dumps(loaded)))
        except _FAILURES as error:
            return loaded._replace(batch=None, problem=failure_text(error))

    def load(self) -> Loaded:
        """The batch, or the problem that it cannot be received."""
        try:
            return cast("Loaded", pickle.loads(self._content))  # noqa: S301 (from a loading process of ours)
        except _FAILURES as error:
            return Loaded(None, problem=failure_text(error))

    def pin_memory(self) -> Loaded:
        """The batch in page-locked memory. PyTorch's data loader calls it, in a thread of the main process."""
        loaded = self.load()
        return loaded if loaded.batch is None else loaded._replace(batch=loaded.batch.pin_memory())


class Receipt:
    """The receipt of a batch in a thread of its own: a loading process that hangs never hands over its files, for which
    Python waits without end."""

    def __init__(self, batch: PickledBatch) -> None:
        self._found: Loaded | BaseException | None = None
        self._thread = Thread(target=self._receive, args=(batch,), daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> Loaded | None:
        """The batch, or None if it has not arrived by then."""
        self._thread.join(seconds)
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found

    def _receive(self, batch: PickledBatch) -> None:
        try:
            self._found = batch.load()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._found = error


def delivery_error(problem: str) -> DataError:
    """The error for a batch that did not arrive, with the remedy."""
    if problem.startswith("DataLoader worker"):  # PyTorch's words for the death of a loading process
        return DataError(
            f"A process that loads images has died ({problem.strip()}), most often because memory ran out. "
            "Lower num_workers, data.cache_memory or batch_size."
        )
    if "open files" in problem or "ancdata" in problem:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        remedy = f"Raise the limit of open files, which is {limit} (ulimit -n), or lower num_workers."
    else:
        remedy = "Most often the shared memory is full: enlarge /dev/shm, or lower num_workers or batch_size."
    return DataError(f"A batch did not arrive from the process that loaded it ({problem}). {remedy}")


def raise_file_limit() -> None:
    """Raises this process's limit of open files, of which each waiting batch takes several, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def failure_text(error: BaseException) -> str:
    """The cause of a delivery that failed, for `delivery_error`. The other end closes the connection without a word."""
    if isinstance(error, EOFError | ConnectionError):
        return "it closed the connection, having too many open files or having ended"
    return str(error) or type(error).__name__

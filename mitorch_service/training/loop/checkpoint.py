"""The state of a training between two steps, kept in the artifact store to go on from."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoint_keys import CHECKPOINT, SHARED
from mitorch_service.errors import ArtifactError

State = dict[str, Any]  # nested dicts, lists and tuples of tensors, numbers, strings and None

INHERITED = "inherited"  # marks a state that is another training's
_KEPT = 2
_MAGIC = b"mitorch1"
_DIGEST = 32

log = logging.getLogger("mitorch")


class Checkpoints:
    """The last two states of one training, under ``<prefix>checkpoint-<number>/``, and the last two that others may
    take over, under ``<prefix>shared-<epoch>/``.

    Writing and uploading happen in a thread of their own. Of several states that wait for it only the newest is stored.
    What cannot be stored is logged, and the training goes on.
    """

    def __init__(self, artifacts: ArtifactStore, prefix: str) -> None:
        """`prefix` ends in ``/``."""
        self._artifacts, self._prefix = artifacts, prefix
        self._found: State | None = None
        self._searched = False
        self._stored: list[int] = []  # numbers, in the order in which they go: damaged ones, then the oldest
        self._changed = threading.Condition()
        self._waiting: tuple[State, int | None] | None = None  # with the epoch under which it is shared
        self._busy = False
        self._thread: threading.Thread | None = None

    def latest(self) -> State | None:
        """The newest state that is whole, in main memory; None if there is none. Those that are damaged are logged and
        left out. Raises ArtifactError if the store cannot be read."""
        if not self._searched:
            self._found, damaged = self._newest(numbers := self._numbers())
            self._stored = [*damaged, *(number for number in numbers if number not in damaged)]
            self._searched = True
            if damaged and self._found is None:
                log.warning("no checkpoint is whole: the training starts from its first epoch")
        return self._found

    def take_over(self, state: State) -> None:
        """From now on `latest` is this state of another training."""
        self.latest()
        self._found = {**state, INHERITED: True}

    def save(self, state: State, shared: int | None = None) -> None:
        """Stores the state, soon: nothing of it may change any more (`in_main_memory`). `shared`: the epoch after which
        others may take it over."""
        with self._changed:
            self._found = None  # not needed twice: it may be as large as the network
            self._waiting = state, shared
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Until everything that was saved is stored, or could not be."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._busy)

    def delete(self) -> None:
        """Once the training has ended for good. What cannot be deleted is logged."""
        self.wait()
        for number in self._stored:
            self._forget(self._folder(number))
        self._stored = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.wait()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None)
                (state, shared), self._waiting, self._busy = self._waiting or ({}, None), None, True
            try:
                self._store(state, shared)
            except (ArtifactError, OSError, RuntimeError) as error:  # RuntimeError is torch's for a failed write
                log.warning("a checkpoint cannot be stored, the training goes on without it: %s", error)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _store(self, state: State, shared: int | None) -> None:
        number = max(self._stored, default=0) + 1
        with tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
            file = Path(folder, "state.pt")
            write_state(state, file)
            if shared is not None:  # first: whoever finds the own one does not look for the other
                self._artifacts.put(f"{shared_folder(self._prefix, shared)}state.pt", file)
            self._artifacts.put(self._key(number), file)
        self._stored.append(number)
        while len(self._stored) > _KEPT:
            self._forget(self._folder(self._stored.pop(0)))
        if shared is not None:
            for epoch in self._numbers(SHARED)[:-_KEPT]:
                self._forget(shared_folder(self._prefix, epoch))

    def _forget(self, folder: str) -> None:
        try:
            self._artifacts.delete(folder)
        except ArtifactError as error:
            log.warning("an old checkpoint stays: %s", error)

    def _numbers(self, kind: str = CHECKPOINT) -> list[int]:
        start = f"{self._prefix}{kind}"
        names = [key.removeprefix(start).partition("/")[0] for key in self._artifacts.keys(self._prefix)]
        return sorted({int(name) for name in names if name.isdecimal()})

    def _newest(self, numbers: list[int]) -> tuple[State | None, list[int]]:
        """The last that is whole, with the numbers of those after it."""
        damaged: list[int] = []
        for number in reversed(numbers):
            state = self._read(number)
            if state is not None:
                return state, damaged
            damaged.append(number)
        return None, damaged

    def _read(self, number: int) -> State | None:
        key = self._key(number)
        with tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
            file = Path(folder, "state.pt")
            try:
                self._artifacts.get(key, file)
            except ArtifactError:
                if self._artifacts.exists(key):
                    raise
                return None
            state = read_state(file)
        if state is None:
            log.warning("the checkpoint %s is damaged: it is left out", key)
        return state

    def _key(self, number: int) -> str:
        return f"{self._folder(number)}state.pt"

    def _folder(self, number: int) -> str:
        return f"{self._prefix}{CHECKPOINT}{number:06d}/"


def shared_folder(prefix: str, epoch: int) -> str:
    """Where a training whose keys begin so keeps the state that others may take over after an epoch."""
    return f"{prefix}{SHARED}{epoch:06d}/"


def read_shared(artifacts: ArtifactStore, training_id: str, epoch: int) -> State:
    """The state that a training has kept for others. Raises ArtifactError if it is not there, or not whole."""
    key = f"{shared_folder(f'{training_id}/', epoch)}state.pt"
    with tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
        file = Path(folder, "state.pt")
        artifacts.get(key, file)
        state = read_state(file)
    if state is None:
        raise ArtifactError(key, "the artifact store", "it is damaged")
    return state


def write_state(state: State, path: Path) -> None:
    """A mark, a SHA-256 of all that follows, and torch's own format."""
    with path.open("w+b") as file:
        file.write(_MAGIC + bytes(_DIGEST))
        torch.save(state, file)
        file.seek(len(_MAGIC) + _DIGEST)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(len(_MAGIC))
        file.write(digest)


def read_state(path: Path) -> State | None:
    """What `write_state` wrote, without running any code from the file; None if it is not whole."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + _DIGEST)
        if not head.startswith(_MAGIC) or hashlib.file_digest(file, "sha256").digest() != head[len(_MAGIC) :]:
            return None
        file.seek(len(_MAGIC) + _DIGEST)
        try:
            state = torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):  # of another version of PyTorch
            return None
    return state if isinstance(state, dict) else None


def in_main_memory(value: Any) -> Any:
    """A deep copy, tensors on the CPU; mappings become dicts."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: in_main_memory(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(in_main_memory(one) for one in value)
    return value

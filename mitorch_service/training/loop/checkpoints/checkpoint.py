"""The state of a training between two steps, stored with its artifacts to resume from."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoint_keys import CHECKPOINT, SHARED
from mitorch_service.errors import ArtifactError
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest
from mitorch_service.training.loop.checkpoints.state_check import is_whole

State = dict[str, Any]  # nested dicts, lists and tuples of tensors, numbers, strings and None

INHERITED = "inherited"  # marks a state that was another training's
_KEPT = 2
_MAGIC = b"mitorch1"
_DIGEST = 32

log = logging.getLogger("mitorch")


class Checkpoints:
    """The last two states of one training, under ``<prefix>checkpoint-<number>/``, and the last two that other
    trainings may inherit, under ``<prefix>shared-<epoch>/``.

    Writing and uploading happen in a thread of their own. Of several waiting states, only the newest is stored. A state
    that cannot be stored is logged, and the training continues.
    """

    def __init__(self, artifacts: ArtifactStore, prefix: str) -> None:
        """`prefix` ends in ``/``."""
        self._artifacts = artifacts
        self._prefix = prefix
        self._found: State | None = None
        self._searched = False
        self._stored: list[int] = []  # numbers in the order of their deletion: damaged ones, then the oldest
        self._changed = threading.Condition()
        self._waiting: tuple[State, int | None] | None = None  # with the epoch under which it is shared
        self._busy = False
        self._thread: threading.Thread | None = None
        self.request = CheckpointRequest()  # by which another thread asks for a state
        self._answers = False  # whether what waits was saved after the request

    def latest(self) -> State | None:
        """The newest undamaged state, its tensors on the CPU; None if there is none. Damaged ones are logged and
        skipped. Raises ArtifactError if the store cannot be read."""
        if not self._searched:
            numbers = self._numbers()
            self._found, damaged = self._newest(numbers)
            self._stored = [*damaged, *(number for number in numbers if number not in damaged)]
            self._searched = True
            if damaged and self._found is None:
                log.warning("every checkpoint is damaged: the training starts from its first epoch")
        return self._found

    def inherit(self, state: State) -> None:
        """Makes a state of another training the one that `latest` returns."""
        self.latest()
        self._found = {**state, INHERITED: True}

    def save(self, state: State, shared: int | None = None) -> None:
        """Stores the state soon, in the background; the caller must not change it any more (`in_main_memory`). With
        `shared`, an epoch, other trainings may inherit it as the state after that epoch."""
        with self._changed:
            self._found = None  # not needed twice: it may be as large as the network
            self._answers = self.request.is_open()
            self._waiting = state, shared
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Waits until every saved state is stored, or could not be."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._busy)

    def delete(self) -> None:
        """Deletes the states of a training that has ended for good. A failure is logged."""
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
                assert self._waiting is not None
                state, shared = self._waiting
                answers = self._answers
                self._waiting = None
                self._busy = True
            try:
                self._store(state, shared)
                if answers:
                    self.request.answer()
            except (ArtifactError, OSError, RuntimeError) as error:  # RuntimeError is torch's for a failed write
                log.warning("a checkpoint cannot be stored, the training continues without it: %s", error)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _store(self, state: State, shared: int | None) -> None:
        number = max(self._stored, default=0) + 1
        with tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
            file = Path(folder, "state.pt")
            write_state(state, file)
            if shared is not None:  # first: an attempt that finds its own state does not look for the shared one
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
            log.warning("an old checkpoint cannot be deleted: %s", error)

    def _numbers(self, kind: str = CHECKPOINT) -> list[int]:
        start = f"{self._prefix}{kind}"
        names = [key.removeprefix(start).partition("/")[0] for key in self._artifacts.keys(self._prefix)]
        return sorted({int(name) for name in names if name.isdecimal()})

    def _newest(self, numbers: list[int]) -> tuple[State | None, list[int]]:
        """The last undamaged state, and the numbers of the damaged ones after it."""
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
        if not is_whole(state):
            log.warning("the checkpoint %s is damaged: it is skipped", key)
            return None
        return state

    def _key(self, number: int) -> str:
        return f"{self._folder(number)}state.pt"

    def _folder(self, number: int) -> str:
        return f"{self._prefix}{CHECKPOINT}{number:06d}/"


def shared_folder(prefix: str, epoch: int) -> str:
    """The key prefix of the state after an epoch that a training with the key prefix `prefix` shares."""
    return f"{prefix}{SHARED}{epoch:06d}/"


def read_shared(artifacts: ArtifactStore, training_id: str, epoch: int) -> State:
    """The state after an epoch that a training shares. Raises ArtifactError if it is missing or damaged."""
    key = f"{shared_folder(f'{training_id}/', epoch)}state.pt"
    with tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
        file = Path(folder, "state.pt")
        artifacts.get(key, file)
        state = read_state(file)
    if state is None or not is_whole(state):
        raise ArtifactError(key, "the artifact store", "it is damaged")
    return state


def write_state(state: State, path: Path) -> None:
    """Writes a mark, a SHA-256 of all that follows it, and the state in torch's own format."""
    with path.open("w+b") as file:
        file.write(_MAGIC + bytes(_DIGEST))
        torch.save(state, file)
        file.seek(len(_MAGIC) + _DIGEST)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(len(_MAGIC))
        file.write(digest)


def read_state(path: Path) -> State | None:
    """Reads a file of `write_state` without running any code from it; None if it is damaged."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + _DIGEST)
        if not head.startswith(_MAGIC) or hashlib.file_digest(file, "sha256").digest() != head[len(_MAGIC) :]:
            return None
        file.seek(len(_MAGIC) + _DIGEST)
        content = io.BytesIO(file.read())
        try:
            with zipfile.ZipFile(content) as archive:  # whose checksums PyTorch does not look at
                if archive.testzip() is not None:
                    return None
            content.seek(0)
            state = torch.load(content, map_location="cpu", weights_only=True)
        except Exception:  # noqa: BLE001 - of torch's parsers, any; of another version of PyTorch, or no state at all
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

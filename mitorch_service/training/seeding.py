"""Seeds that depend on the config's seed alone, not on the number of data loader processes."""

from __future__ import annotations

import hashlib
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and PyTorch, and makes CUDA use deterministic algorithms."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; else cuBLAS is not repeatable
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def derived_seed(seed: int, *keys: int) -> int:
    """Returns a 63-bit seed for one purpose (an epoch, an image): a BLAKE2b hash of the seed and the keys."""
    digest = hashlib.blake2b(struct.pack(f"<{len(keys) + 1}q", seed, *keys), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_process(seed: int, rank: int, *position: int) -> None:
    """Seeds Python, NumPy and PyTorch of each process of a distributed training differently (for dropout).

    Rank 0 at the start of a training keeps the numbers of a single-process training.
    """
    if rank > 0 or position:
        own = derived_seed(seed, rank, *position)
        torch.manual_seed(own)
        random.seed(own)
        np.random.seed(own % 2**32)


@contextmanager
def others_seeded(seed: int) -> Iterator[None]:
    """Seeds Python and NumPy, whose numbers third-party code may draw, and restores them afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def random_state() -> dict[str, Any]:
    """Returns the state of this process's generators, as plain values and tensors, for `restore_random_state`."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (
            kind,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restores every generator from `random_state`; ignores the state of a device that this machine lacks."""
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])

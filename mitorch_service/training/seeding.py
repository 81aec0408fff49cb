"""Random numbers that depend on the config's seed alone, not on the number of loading processes."""

from __future__ import annotations

import hashlib
import os
import random
import struct

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and PyTorch, and has CUDA choose algorithms that give the same bits each time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts: cuBLAS without it may vary
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def derived_seed(seed: int, *keys: int) -> int:
    """A seed of 63 bits for one purpose (an epoch, an image), unrelated to that of any other keys."""
    digest = hashlib.blake2b(struct.pack(f"<{len(keys) + 1}q", seed, *keys), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1

"""The devices of this process, and the choice of one."""

from __future__ import annotations

import torch


def count_gpus() -> int:
    """Returns the number of GPUs that PyTorch can use in this process."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def best_device() -> torch.device:
    """Returns the first CUDA device, else Apple's GPU (MPS), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")

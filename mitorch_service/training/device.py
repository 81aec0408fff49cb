"""The choice of the device."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """Returns the first CUDA device, else Apple's GPU (MPS), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")

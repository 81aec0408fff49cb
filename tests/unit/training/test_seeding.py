"""Seeds of processes."""

from __future__ import annotations

import random

import numpy as np
import torch

from mitorch_service.training.seeding import seed_everything, seed_process


def drawn(rank: int, *position: int) -> tuple[float, float, float]:
    """Numbers of the three generators in a process of a training."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_everything(3)
    seed_process(3, rank, *position)
    numbers = random.random(), float(np.random.rand()), float(torch.rand(()))
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    return numbers


def test_each_process_and_position_has_numbers_of_its_own() -> None:
    rows = [drawn(0), drawn(1), drawn(0, 2, 5), drawn(1, 2, 5), drawn(0, 2, 6)]
    assert rows == [drawn(0), drawn(1), drawn(0, 2, 5), drawn(1, 2, 5), drawn(0, 2, 6)]
    assert all(len(set(column)) == len(rows) for column in zip(*rows, strict=True))

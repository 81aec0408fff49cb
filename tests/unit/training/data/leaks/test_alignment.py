"""Pictures that are cut at their edges are aligned; different ones stay different."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from mitorch_service.training.data.leaks.alignment import SIDE, aligned_differences


def smooth(number: int, left: float = 0, top: float = 0, size: float = 1) -> NDArray[np.uint8]:
    """A part of a smooth picture: waves that its number chooses."""
    draw = np.random.default_rng(number)
    y, x = np.meshgrid(*(at + size * (np.arange(SIDE) + 0.5) / SIDE for at in (top, left)), indexing="ij")
    waves = np.zeros((SIDE, SIDE))
    for _ in range(4):
        waves += np.sin(draw.uniform(3, 12) * x + draw.uniform(3, 12) * y + draw.uniform(0, 6))
    return (128 + 30 * waves).astype(np.uint8)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_cut_and_brighter_picture_is_the_same(swapped: bool) -> None:
    whole, other = smooth(1), smooth(2)
    cut = smooth(1, left=0.03, size=0.97) + np.uint8(15)
    ours, theirs = np.stack([whole, whole, whole]), np.stack([whole, cut, other])
    if swapped:
        ours, theirs = theirs, ours
    same, aligned, different = aligned_differences(ours, theirs, 25).tolist()
    assert same == pytest.approx(0, abs=1e-4)
    assert aligned < 3 < np.abs(cut.astype(float) - 15 - whole).mean()
    assert different > 20


def test_digits_of_one_class_are_different_pictures() -> None:
    digits = load_digits().images[:40] * 255 / 16
    pictures = digits.repeat(SIDE // 8, 1).repeat(SIDE // 8, 2).astype(np.uint8)
    one, other = np.triu_indices(len(pictures), 1)
    assert aligned_differences(pictures[one], pictures[other], 25).min() > 8


def test_no_pairs() -> None:
    none = np.empty((0, SIDE, SIDE), np.uint8)
    assert len(aligned_differences(none, none, 25)) == 0

"""Compares small pictures of which one may be cut off at its edges."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

SIDE = 24  # pixels, of the pictures
_CUT = (0.0, 0.03, 0.06)  # parts of the width, or of the height, that are missing in all
_AT_ONCE = 128  # pairs

Pictures = NDArray[np.uint8]  # (N, 24, 24): grey


def aligned_differences(ours: Pictures, theirs: Pictures, most_brighter: float) -> NDArray[np.float32]:
    """Returns the mean absolute difference (N) of each pair of pictures, in 0..255, as small as it gets by cutting up
    to 6 % off one of them in either direction, at either end or both. The brighter one is darkened first, by
    `most_brighter` at most."""
    found = np.empty(len(ours), np.float32)
    for start in range(0, len(ours), _AT_ONCE):
        one, other = (side[start : start + _AT_ONCE].astype(np.float32) for side in (ours, theirs))
        least = [_least(cut, whole, most_brighter) for cut, whole in ((one, other), (other, one))]
        found[start : start + _AT_ONCE] = np.minimum(*least)
    return found


def _least(cut: NDArray[np.float32], whole: NDArray[np.float32], most_brighter: float) -> NDArray[np.float32]:
    least = np.full(len(cut), np.inf, np.float32)
    for rows, columns in product(_samplers(), repeat=2):
        difference = rows @ cut @ columns.T - whole
        difference -= difference.mean((1, 2), keepdims=True).clip(-most_brighter, most_brighter)
        least = np.minimum(least, np.abs(difference).mean((1, 2)))
    return least


@cache
def _samplers() -> list[NDArray[np.float32]]:
    """Matrices (24, 24) that stretch a part of 24 pixels to 24, by their shares of each."""
    parts = {(shift, shift + 1 - cut) for cut in _CUT for shift in (0.0, cut / 2, cut)}
    return [_sampler(*part) for part in sorted(parts)]


def _sampler(start: float, end: float) -> NDArray[np.float32]:
    edges = SIDE * np.linspace(start, end, SIDE + 1)
    pixels = np.arange(SIDE)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = shares.clip(0, None)
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)

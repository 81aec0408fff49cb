"""Finds hashes that differ in few bits, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_BANDS = 4  # of 16 bits each
_WIDTH = 16
_AT_ONCE = 1 << 20  # candidate pairs held in memory

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def near_pairs(known: Hashes, wanted: Hashes, most: int) -> tuple[Indices, Indices, NDArray[np.uint8]]:
    """Returns all pairs of distinct hashes that differ in `most` bits (0 to 15) or fewer: places in `known` and in
    `wanted`, ordered by the latter, and the number of bits.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast Search in Hamming Space with Multi-Index Hashing"): two
    hashes that differ in r bits differ in at most r / 4 bits of one of their four bands, so that only hashes with such
    a band are compared. Equal hashes in one array are to be removed first (`np.unique`): of n equal ones there are n^2
    pairs.
    """
    found = [np.empty((0, 3), np.int64)]
    for band in range(_BANDS):
        keys = _band(known, band)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for mask in _masks(most // _BANDS):
            probes = _band(wanted, band) ^ np.uint16(mask)
            starts = np.searchsorted(keys, probes, "left")
            counts = np.searchsorted(keys, probes, "right") - starts
            for ours, theirs in _expanded(starts, counts):
                candidates = order[ours]
                bits = np.bitwise_count(known[candidates] ^ wanted[theirs])
                near = bits <= most
                found.append(np.stack([candidates[near], theirs[near], bits[near]], axis=1).astype(np.int64))
    pairs = np.unique(np.concatenate(found), axis=0)
    pairs = pairs[np.lexsort((pairs[:, 2], pairs[:, 1]))]
    return pairs[:, 0], pairs[:, 1], pairs[:, 2].astype(np.uint8)


def _band(hashes: Hashes, number: int) -> NDArray[np.uint16]:
    return (hashes >> np.uint64(_WIDTH * number)).astype(np.uint16)


def _masks(most: int) -> Iterator[int]:
    """All patterns with up to `most` of 16 bits set."""
    for count in range(most + 1):
        for bits in combinations(range(_WIDTH), count):
            yield sum(1 << bit for bit in bits)


def _expanded(starts: Indices, counts: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Turns the ranges from `starts` into pairs (place in the range, number of the range), some at a time."""
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + _AT_ONCE, "right")), first + 1)
        part = counts[first:last]
        total = int(part.sum())
        if total:
            ranges = np.repeat(np.arange(first, last), part)
            offsets = np.arange(total) - np.repeat(np.cumsum(part) - part, part)
            yield np.repeat(starts[first:last], part) + offsets, ranges
        first = last

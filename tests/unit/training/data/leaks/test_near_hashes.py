"""Near hashes are found without comparing all pairs, and all of them."""

from __future__ import annotations

import numpy as np
import pytest

from mitorch_service.training.data.leaks.near_hashes import near_pairs


@pytest.mark.parametrize("most", [0, 6, 10])
def test_the_same_pairs_as_by_comparing_all(most: int) -> None:
    numbers = np.random.default_rng(0)
    known, wanted = (numbers.integers(0, 2**64, 200, dtype=np.uint64) for _ in range(2))
    for index in range(100):
        wanted[index] = known[index]
        for bit in numbers.choice(64, index % 18, replace=False):
            wanted[index] ^= np.uint64(1) << np.uint64(bit)
    theirs, ours, bits = near_pairs(known, wanted, most)
    everything = np.bitwise_count(known[:, None] ^ wanted[None])
    expected = {(int(one), int(other)) for one, other in zip(*np.nonzero(everything <= most), strict=True)}
    assert set(zip(theirs.tolist(), ours.tolist(), strict=True)) == expected
    assert len(ours) == len(expected)
    assert (bits == everything[theirs, ours]).all()
    assert (np.diff(ours) >= 0).all()


def test_nothing_is_near_nothing() -> None:
    none, one = np.empty(0, np.uint64), np.zeros(1, np.uint64)
    assert all(len(found) == 0 for pair in ((none, one), (one, none)) for found in near_pairs(*pair, 6))

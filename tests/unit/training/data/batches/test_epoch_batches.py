from __future__ import annotations

import pytest

from mitorch_service.training.data.batches.epoch_batches import EpochBatches


def order(batches: EpochBatches, epoch: int = 0) -> list[list[int]]:
    batches.epoch = epoch
    return [[key.index for key in batch] for batch in batches]


def test_without_a_seed_the_order_is_that_of_the_file() -> None:
    assert order(EpochBatches(5, 2)) == [[0, 1], [2, 3], [4]]
    assert len(EpochBatches(5, 2)) == 3


def test_each_epoch_is_shuffled_anew_from_the_seed() -> None:
    first, second = (order(EpochBatches(40, 8, shuffle_seed=1), epoch) for epoch in (0, 1))
    assert first == order(EpochBatches(40, 8, shuffle_seed=1), 0)
    assert first != second
    assert first != order(EpochBatches(40, 8, shuffle_seed=2), 0)
    assert sorted(index for batch in first for index in batch) == list(range(40))


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [(5, 2, [2, 2]), (4, 2, [2, 2]), (6, 4, [4, 2]), (1, 2, [1]), (3, 1, [1, 1, 1])],
)
def test_a_last_batch_of_one_is_left_out_where_that_leaves_others(
    images: int, batch_size: int, sizes: list[int]
) -> None:
    batches = EpochBatches(images, batch_size, drop_single=True)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == len(sizes)


def test_the_number_of_batches_can_be_limited() -> None:
    assert order(EpochBatches(5, 2, at_most=1)) == [[0, 1]]
    assert len(EpochBatches(5, 2, at_most=1)) == 1

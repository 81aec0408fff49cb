from __future__ import annotations

import multiprocessing
import pickle

import numpy as np
import pytest
from PIL import Image

from mitorch_service.errors import InvalidInput
from mitorch_service.training.data.images.decoding import Picture
from mitorch_service.training.data.images.image_cache import ImageCache


def picture(number: int, size: tuple[int, int] = (5, 4)) -> Picture:
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Picture(Image.fromarray(pixels), (10 * size[0], 10 * size[1]), number % 8 + 1)


def same(one: Picture | None, other: Picture) -> bool:
    if one is None:
        return False
    described = (one.stored_size, one.orientation) == (other.stored_size, other.orientation)
    return described and np.array_equal(np.asarray(one.image), np.asarray(other.image))


def test_gives_what_was_put() -> None:
    cache = ImageCache(3, 1000)
    assert cache.get(1) is None
    for number in (1, 0):
        cache.put(number, picture(number, (5 + number, 4)))
    assert same(cache.get(0), picture(0, (5, 4)))
    assert same(cache.get(1), picture(1, (6, 4)))
    assert cache.get(2) is None
    assert cache.used == 3 * (5 + 6) * 4


def test_keeps_to_its_limit() -> None:
    cache = ImageCache(3, 130)
    for number in range(3):
        cache.put(number, picture(number))  # 60 bytes each
    assert [cache.get(number) is not None for number in range(3)] == [True, True, False]
    cache = ImageCache(3, 0)
    cache.put(0, picture(0))
    assert cache.get(0) is None


def fill(cache: ImageCache, first: int, step: int) -> None:
    for number in range(first, 200, step):
        cache.put(number, picture(number))


def test_forked_processes_share_it() -> None:
    cache = ImageCache(200, 200 * 60)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=fill, args=(cache, first, 2)) for first in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=60)
    assert all(same(cache.get(number), picture(number)) for number in range(200))


def test_a_copy_through_a_pickle_keeps_nothing() -> None:
    cache = ImageCache(1, 1000)
    cache.put(0, picture(0))
    copy = pickle.loads(pickle.dumps(cache))
    copy.put(0, picture(0))
    assert copy.get(0) is None


@pytest.mark.parametrize("images", [0, 1])
def test_an_empty_one_can_be_made(images: int) -> None:
    assert ImageCache(images, 10).used == 0


def test_more_than_the_machine_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match="this machine cannot give"):
        ImageCache(1, 1 << 62)

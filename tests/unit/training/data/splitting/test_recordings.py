"""Frames of one recording by the names of their files, and names that tell none."""

from __future__ import annotations

import pytest

from mitorch_service.training.data.splitting.recordings import guess_recordings


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ([f"train/GH0100{r}_frame_{n:06}.jpg" for r in range(3) for n in range(5)], "GH01000"),
        ([f"val/2020051{r} 1L/{n}.png" for r in range(3) for n in range(5)], f"2020051{0} 1L"),
        ([f"video.zip@cam{r}-clip2/{n:03}.png" for r in range(3) for n in range(5)], "video/cam0-clip2"),
    ],
)
def test_recordings(names: list[str], first: str) -> None:
    found = guess_recordings(names, [0, 1, 2] * 5)
    assert found is not None
    assert len(set(found.of_image)) == 3
    assert found.of_image[0] == first


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ([f"img_{n}.jpg" for n in range(20)], [0, 1] * 10),  # one for all
        ([f"{n * 7919:08x}.jpg" for n in range(20)], [0, 1] * 10),  # one for nearly each
        ([f"class{n % 2}/{n}.jpg" for n in range(20)], [0, 1] * 10),  # those of the classes
        ([f"n0{n % 2}_{n}.jpg" for n in range(20)], [0, 1] * 10),
        ([], []),
    ],
)
def test_names_that_tell_none(names: list[str], classes: list[int]) -> None:
    assert guess_recordings(names, classes) is None

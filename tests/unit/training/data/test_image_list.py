from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mitorch_service.training.data.image_list import ImageLocation, PackedStrings


def test_packed_strings_are_a_sequence() -> None:
    strings = ["a", "", "größe.png", "\udcff.png"]
    packed = PackedStrings(strings)
    assert list(packed) == strings
    assert list(pickle.loads(pickle.dumps(packed))) == strings
    assert len(packed) == 4
    with pytest.raises(IndexError):
        packed[4]


@pytest.mark.parametrize(
    ("text", "path", "entry"),
    [
        ("a/b.png", "/data/a/b.png", None),
        ("/else/b.png", "/else/b.png", None),
        ("logo@2x.png", "/data/logo@2x.png", None),
        ("a.zip@b/c.png", "/data/a.zip", "b/c.png"),
        ("A.ZIP@b@2x.png", "/data/A.ZIP", "b@2x.png"),
        ("a.zip@b.zip@c.png", "/data/a.zip", "b.zip@c.png"),
    ],
)
def test_location(text: str, path: str, entry: str | None) -> None:
    location = ImageLocation.parse(text, Path("/data"))
    assert location == ImageLocation(Path(path), entry)
    assert str(location) == (path if entry is None else f"{path}@{entry}")

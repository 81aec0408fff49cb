"""Names, tags and notes: what they may be, and how tags change."""

from __future__ import annotations

import pytest

from mitorch_service.models.labels import MAX_TAGS, changed_tags, check_tag, check_text


def test_a_tag_takes_the_place_of_those_with_its_key() -> None:
    assert changed_tags(["a=1", "b=2", "a=3"], ["a=4"], []) == ["b=2", "a=4"]
    assert changed_tags(["a=1"], ["b=1", "b=2", "b=1"], []) == ["a=1", "b=1", "b=2"]


def test_tags_are_removed_by_their_key_or_whole() -> None:
    assert changed_tags(["a=1", "a=2", "b=3"], [], ["a"]) == ["b=3"]
    assert changed_tags(["a=1", "a=2"], [], ["a=1"]) == ["a=2"]
    assert changed_tags(["a=1"], [], ["c"]) == ["a=1"]


def test_there_are_not_too_many() -> None:
    many = [f"k{number}=1" for number in range(MAX_TAGS)]
    assert changed_tags(many, ["k0=2"], []) == [*many[1:], "k0=2"]
    with pytest.raises(ValueError, match="would be 51 tags; 50 at most"):
        changed_tags(many, ["other=1"], [])


@pytest.mark.parametrize("tag", ["team", "=vision", " =x", "a=" + "x" * 199, "a=\0", "a=\n", "a=\x9b", "a=\ud800"])
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(ValueError, match=r"KEY=VALUE|characters|cannot be printed"):
        check_tag(tag)


def test_what_is_a_text() -> None:
    assert check_text("réseau 深い 🙂", 20)

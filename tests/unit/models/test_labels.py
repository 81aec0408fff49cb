"""Names, tags and notes: what they may be, and how tags change."""

from __future__ import annotations

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.models.labels import MAX_TAGS, changed_tags, check_tag, check_text
from mitorch_service.submission.submission import Options, parse_tags

LONGEST = "x" * 200


def test_the_longest_that_are_kept() -> None:
    tags = tuple(f"{number:04d}={'x' * 195}" for number in range(50))
    options = Options(name=LONGEST, tags=tags)
    assert options.name == LONGEST
    assert parse_tags([*tags, tags[0]]) == tags


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (LONGEST + "x", r"--name: 1 problem\n  x{40}…: has 201 characters; write 200 at most"),
        ("  ", "--name: 1 problem\n  is empty"),
        ("a\0b", r"--name: 1 problem\n  .*: contains .* cannot be printed"),
    ],
)
def test_a_name_that_is_refused(name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Options(name=name)


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        (["k=" + LONGEST], r"--tag: 1 problem\n  k=x{38}…: has 202 characters; write 200 at most"),
        ([f"k={number}" for number in range(51)], "--tag: 1 problem\n  there are 51 tags; write 50 at most"),
        (["no value"], "  no value: write KEY=VALUE"),
        (["=no key"], "  =no key: write KEY=VALUE"),
        (["a=\0"], r".*: contains .* cannot be printed"),
    ],
)
def test_tags_that_are_refused(tags: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        parse_tags(tags)
    with pytest.raises(InvalidInput, match=problem):
        Options(tags=tuple(tags))


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

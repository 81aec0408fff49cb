"""Names and tags are bounded where they are given."""

from __future__ import annotations

import pytest

from mitorch_service.errors import InvalidInput
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
        (LONGEST + "x", r"--name: 1 problem\n  x{40}…: has 201 characters; write at most 200"),
        ("  ", "--name: 1 problem\n  is empty"),
        ("a\0b", "--name: 1 problem\n  .*: contains the character NUL"),
    ],
)
def test_a_name_that_is_refused(name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Options(name=name)


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        (["k=" + LONGEST], r"--tag: 1 problem\n  k=x{38}…: has 202 characters; write at most 200"),
        ([f"k={number}" for number in range(51)], "--tag: 1 problem\n  there are 51 tags; write at most 50"),
        (["no value"], "  no value: write KEY=VALUE"),
        (["=no key"], "  =no key: write KEY=VALUE"),
        (["a=\0"], r".*: contains the character NUL"),
    ],
)
def test_tags_that_are_refused(tags: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        parse_tags(tags)
    with pytest.raises(InvalidInput, match=problem):
        Options(tags=tuple(tags))

"""Names and tags, which people give to trainings and jobs: how long they may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mitorch_service.errors import Problem

MAX_NAME = 200  # characters; of a tag too
MAX_TAGS = 50


def name_problems(name: str) -> Iterator[Problem]:
    """Yields what is wrong with a name."""
    if not name.strip():
        yield Problem("", "is empty: write a name, or leave it out")
    yield from _text_problems(name)


def tag_problems(tags: Sequence[str]) -> Iterator[Problem]:
    """Yields what is wrong with the tags of one training or job."""
    for tag in tags:
        if not tag.partition("=")[0].strip() or "=" not in tag:
            yield Problem(_beginning(tag), "write KEY=VALUE, such as team=vision")
        yield from _text_problems(tag)
    if len(set(tags)) > MAX_TAGS:
        yield Problem("", f"there are {len(set(tags))} tags; write at most {MAX_TAGS}")


def _text_problems(text: str) -> Iterator[Problem]:
    if len(text) > MAX_NAME:
        yield Problem(_beginning(text), f"has {len(text)} characters; write at most {MAX_NAME}")
    if "\0" in text:
        yield Problem(_beginning(text), "contains the character NUL; remove it")


def _beginning(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"

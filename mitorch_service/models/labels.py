"""The labels that people give to trainings and jobs: names, tags, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mitorch_service.errors import Problem

MAX_NAME = 200  # characters
MAX_TAG = 200
MAX_TAGS = 50
MAX_NOTE = 2000
PRIORITIES = range(-(2**31), 2**31)


def check_text(text: str, longest: int) -> str:
    """Returns the text. Raises ValueError for one that is too long or that holds a control character."""
    if len(text) > longest:
        raise ValueError(f"has {len(text)} characters; write {longest} at most")
    for character in text:
        if character < " " or "\x7f" <= character < "\xa0" or "\ud800" <= character < "\ue000":
            raise ValueError(f"contains {character!r}, which cannot be printed; remove it")
    return text


def check_tag(tag: str) -> str:
    """Returns the tag. Raises ValueError for one that is not ``KEY=VALUE``."""
    if "=" not in tag or not tag.partition("=")[0].strip():
        raise ValueError("write KEY=VALUE, such as team=vision")
    return check_text(tag, MAX_TAG)


def changed_tags(tags: Sequence[str], set_to: Iterable[str], removed: Iterable[str]) -> list[str]:
    """Returns the tags after a change: a tag of `set_to` takes the place of those with its key; `removed` are keys, or
    whole tags. Raises ValueError if these are too many."""
    new = list(dict.fromkeys(set_to))
    keys = {tag.partition("=")[0] for tag in new} | set(removed)
    kept = [tag for tag in tags if tag not in keys and tag.partition("=")[0] not in keys]
    if len(kept) + len(new) > MAX_TAGS:
        raise ValueError(f"would be {len(kept) + len(new)} tags; {MAX_TAGS} at most: remove some with --remove KEY")
    return kept + new


def priority_problems(value: object) -> Iterator[Problem]:
    """Yields what is wrong with a priority."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in PRIORITIES:
        bounds = f"{PRIORITIES[0]} to {PRIORITIES[-1]}"
        yield Problem("", f"must be a whole number from {bounds} (it is {value!s:.60})")


def name_problems(name: str) -> Iterator[Problem]:
    """Yields what is wrong with a name."""
    if not name.strip():
        yield Problem("", "is empty: write a name, or leave it out")
    try:
        check_text(name, MAX_NAME)
    except ValueError as error:
        yield Problem(_beginning(name), str(error))


def tag_problems(tags: Sequence[str]) -> Iterator[Problem]:
    """Yields what is wrong with the tags of one training or job."""
    for tag in tags:
        try:
            check_tag(tag)
        except ValueError as error:
            yield Problem(_beginning(tag), str(error))
    if len(set(tags)) > MAX_TAGS:
        yield Problem("", f"there are {len(set(tags))} tags; write {MAX_TAGS} at most")


def _beginning(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"

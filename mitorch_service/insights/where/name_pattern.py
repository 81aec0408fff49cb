"""Regular expressions on names, in bounded time.

Python's `re` has no limit: ``(a+)+$`` on thirty letters takes hours. The package `regex` stops a search after a time.
"""

from __future__ import annotations

from collections.abc import Callable

from mitorch_service.errors import InvalidFilter
from mitorch_service.insights.where.terms import PatternTerm

_LONGEST = 200  # characters of a pattern
_SECONDS = 0.1  # for one name; a usual pattern takes microseconds
_SEARCHED = 1000  # characters of a name: a hand-written document may hold a longer one


def compile_pattern(term: PatternTerm) -> Callable[[str], bool]:
    """Returns whether a name has the pattern in it. Raises InvalidFilter for what is no regular expression; its
    function raises it for one that takes too long."""
    import regex  # takes 15 ms, which only those pay who search so

    place = term.place.word, term.place.position
    if len(term.pattern) > _LONGEST:
        raise InvalidFilter(*place, f"is too long: write a regular expression of {_LONGEST} characters at most")
    try:
        pattern = regex.compile(term.pattern, regex.IGNORECASE)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        problem = f"is no regular expression ({error})"
        raise InvalidFilter(*place, f'{problem}; write part of the name, or "quotes" around what is meant') from error

    def found(name: str) -> bool:
        try:
            return pattern.search(name[:_SEARCHED], timeout=_SECONDS) is not None
        except TimeoutError:
            shown = name[:40]
            problem = f"takes more than {_SECONDS:g} s for the name {shown!r}: write it without repeats within repeats"
            raise InvalidFilter(*place, problem) from None

    return found

"""The patterns of ignore files, as git reads them (its dir.c and wildmatch.c), also the odd ones. Libraries read blanks
before a pattern, ``a**/b`` or ``a\\/b`` otherwise."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_NEVER = b"(?!)"  # matches nothing
_CLASSES = {
    "alpha": string.ascii_letters,
    "alnum": string.ascii_letters + string.digits,
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(32), 127])),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


@dataclass(frozen=True)
class _Pattern:
    ignores: bool  # False: one with an exclamation mark
    for_folders: bool
    for_names: bool  # for the last part of a path, wherever it is
    regex: re.Pattern[bytes]


@dataclass(frozen=True)
class IgnorePatterns:
    """The patterns of one file; paths are relative to its folder."""

    text: bytes

    @cached_property
    def _patterns(self) -> list[_Pattern]:
        return list(_read(self.text))[::-1]

    def decide(self, path: str, is_folder: bool) -> bool | None:
        """Whether the path is ignored, by the last pattern that matches; None if none does."""
        whole = os.fsencode(path)
        name = whole.rpartition(b"/")[2]
        for pattern in self._patterns:
            if pattern.for_folders and not is_folder:
                continue
            if pattern.regex.fullmatch(name if pattern.for_names else whole):
                return pattern.ignores
        return None


def _read(text: bytes) -> Iterator[_Pattern]:
    for ended in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = _without_blanks(ended.removesuffix(b"\r"))
        if not line or line.startswith(b"#"):
            continue
        body = line.removeprefix(b"!")
        for_folders = body.endswith(b"/")
        body = body.removesuffix(b"/")
        for_names = b"/" not in body
        regex = re.compile(_regex(body.removeprefix(b"/")), re.DOTALL)
        yield _Pattern(not line.startswith(b"!"), for_folders, for_names, regex)


def _without_blanks(line: bytes) -> bytes:
    """Without the blanks at the end, of which a backslash protects one."""
    kept = len(line.rstrip(b" "))
    backslashes = kept - len(line[:kept].rstrip(b"\\"))
    return line[: kept + 1] if backslashes % 2 and kept < len(line) else line[:kept]


def _regex(pattern: bytes) -> bytes:
    """The regular expression of a pattern. What stands before its first special sign is compared first, so that two
    asterisks behind it count as the beginning."""
    literal = re.match(rb"[^*?\[\\]*", pattern)
    assert literal is not None
    rest = pattern[literal.end() :]
    found, place = [re.escape(literal[0])], 0
    while place < len(rest):
        part, place = _part(rest, place)
        found.append(part)
    return b"".join(found)


def _part(pattern: bytes, place: int) -> tuple[bytes, int]:
    """The expression of the part that begins at a place, and where the next one does."""
    sign = pattern[place : place + 1]
    if sign == b"*":
        return _asterisks(pattern, place)
    if sign == b"?":
        return b"[^/]", place + 1
    if sign == b"[":
        return _set(pattern, place + 1)
    if sign == b"\\":
        sign, place = pattern[place + 1 : place + 2], place + 1
    return (re.escape(sign) if sign else _NEVER), place + 1


def _asterisks(pattern: bytes, place: int) -> tuple[bytes, int]:
    end = place + len(pattern[place:]) - len(pattern[place:].lstrip(b"*"))
    begins = place == 0 or pattern[place - 1 : place] == b"/"
    if end - place == 1 or not begins:
        return b"[^/]*", end
    if pattern[end : end + 1] == b"/":
        return b"(?:.*/)?", end + 1
    whole = end == len(pattern) or pattern[end : end + 2] == b"\\/"
    return (b".*" if whole else b"[^/]*"), end


def _set(pattern: bytes, place: int) -> tuple[bytes, int]:
    """The expression of a set of signs, behind its bracket."""
    negated = pattern[place : place + 1] in (b"!", b"^")
    place += negated
    members: set[int] = set()
    before = 0  # the sign that begins a range, 0 if none can
    first = True
    while first or pattern[place : place + 1] != b"]":
        first = False
        if place >= len(pattern):
            return _NEVER, len(pattern)
        sign, after = pattern[place], pattern[place + 1 : place + 2]
        if named := re.match(rb"\[:([^\]]*):\]", pattern[place:]):
            if named[1].decode("latin-1") not in _CLASSES:
                return _NEVER, len(pattern)
            members |= set(_CLASSES[named[1].decode("latin-1")].encode())
            before, place = 0, place + named.end()
            continue
        is_range = sign == ord("-") and before > 0 and after not in (b"", b"]")
        place += is_range
        if pattern[place : place + 1] == b"\\":
            place += 1
            if place >= len(pattern):
                return _NEVER, len(pattern)
        last = pattern[place]
        members |= set(range(before, last + 1)) if is_range else {last}
        before, place = (0 if is_range else last), place + 1
    signs = (set(range(256)) - members if negated else members) - {ord("/")}
    return (b"[%s]" % b"".join(b"\\x%02x" % sign for sign in sorted(signs)) if signs else _NEVER), place + 1

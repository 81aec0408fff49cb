"""The changes of a script's stored code since another training's, file by file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Literal

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.insights.training.code_snapshot import MOST_TEXT, as_text, open_code
from mitorch_service.models.config.script import CodeRecord

_MOST_LINES = 2_000  # of a file that is compared line by line, which takes a time that grows with their square
_MOST_SHOWN = 4_000  # lines of all differences
_SECONDS = 1.5  # after which further files are only named
_CONTEXT = 3

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class FileChange:
    """A file that is not the same in both."""

    name: str
    kind: Kind
    lines: Sequence[str] = ()  # of a unified diff without its head
    remark: str = ""  # why there are no lines


@dataclass(frozen=True)
class _Content:
    digest: bytes
    size: int
    begin: bytes  # of text that may be compared


def code_changes(artifacts: ArtifactStore, before: CodeRecord, now: CodeRecord) -> list[FileChange]:
    """Compares two archives; of equal ones nothing is read. Raises NotFound, ArtifactError."""
    if before.archive == now.archive:
        return []
    old, new = _read(artifacts, before), _read(artifacts, now)
    end, left, found = time.monotonic() + _SECONDS, _MOST_SHOWN, list[FileChange]()
    for name in sorted(old.keys() | new.keys()):
        change = _change(name, old.get(name), new.get(name), left if time.monotonic() < end else 0)
        if change is not None:
            left -= len(change.lines)
            found.append(change)
    return found


def _read(artifacts: ArtifactStore, code: CodeRecord) -> Mapping[str, _Content]:
    found: dict[str, _Content] = {}
    with open_code(artifacts, code) as members:
        for name, size, content in members:
            begin = content.read(MOST_TEXT + 1)
            digest = hashlib.sha256(begin)
            while block := content.read(1 << 20):
                digest.update(block)
            found[name] = _Content(digest.digest(), size, b"" if size > MOST_TEXT else begin)
    return found


def _change(name: str, old: _Content | None, new: _Content | None, left: int) -> FileChange | None:
    if old is not None and new is not None and old.digest == new.digest:
        return None
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    if max(one.size for one in (old, new) if one is not None) > MOST_TEXT:
        return FileChange(name, kind, remark=f"larger than {MOST_TEXT // 1000} kB: not compared line by line")
    before, after = (_lines(name, one) for one in (old, new))
    if before is None or after is None:
        return FileChange(name, kind, remark="no text")
    if max(len(before), len(after)) > _MOST_LINES:
        return FileChange(name, kind, remark=f"more than {_MOST_LINES:,} lines: not compared line by line")
    lines = list(unified_diff(before, after, lineterm="", n=_CONTEXT))[2:]
    if len(lines) > left:
        return FileChange(name, kind, remark=f"{len(lines):,} lines, for which there is no room here")
    return FileChange(name, kind, lines, "" if lines else "only ends of lines, or what is masked")


def _lines(name: str, content: _Content | None) -> list[str] | None:
    if content is None:
        return []
    text = as_text(name, content.size, content.begin).text
    return None if text is None else text.removesuffix("\n").split("\n") if text else []

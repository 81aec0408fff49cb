"""Which quota the nodes of a compute cluster count against. No SDK is needed for that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def find_usage(usages: Iterable[Mapping[str, Any]], size: str, low_priority: bool) -> Mapping[str, Any] | None:
    """Of the service's list the entry for machines of this size; all that may be taken away have one together. None
    where it cannot be told."""
    wanted = ("lowpriority",) if low_priority else families_of(size)
    return next((usage for usage in usages if any(name in _letters(usage["name"]["value"]) for name in wanted)), None)


def families_of(size: str) -> tuple[str, ...]:
    """What the quota of a size may be called, in small letters and digits only: that of Standard_NC24ads_A100_v4 is
    standardNCADSA100v4Family, that of Standard_NC4as_T4_v3 standardNCASv3_T4Family. After
    learn.microsoft.com/azure/virtual-machines/vm-naming-conventions; some families are named otherwise."""
    match = re.fullmatch(r"(?:standard_)?([a-z]+)\d+(?:-\d+)?([a-z]*)((?:_[a-z0-9]+)*)", size.lower())
    if match is None:
        return ()
    series, ends = match[1] + match[2], match[3].split("_")
    return tuple(f"standard{series}{''.join(order)}family" for order in (ends, ends[::-1]))


def cores_of(size: str) -> int:
    """How many a node has: the first number in its size; 0 where it has none."""
    match = re.fullmatch(r"(?:standard_)?[a-z]+(\d+).*", size.lower())
    return int(match[1]) if match else 0


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

"""Finds the quota that the nodes of a compute cluster count against. Imports no SDK."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def find_usage(usages: Iterable[Mapping[str, Any]], size: str, low_priority: bool) -> Mapping[str, Any] | None:
    """Returns the entry of the service's list for machines of this size, or None if it cannot be determined.

    All low-priority machines share one quota.
    """
    wanted = ("lowpriority",) if low_priority else families_of(size)
    return next((usage for usage in usages if any(name in _letters(usage["name"]["value"]) for name in wanted)), None)


def families_of(size: str) -> tuple[str, ...]:
    """Returns possible names of the quota of a size, reduced to lower-case letters and digits.

    The quota of Standard_NC24ads_A100_v4 is standardNCADSA100v4Family, that of Standard_NC4as_T4_v3 is
    standardNCASv3_T4Family (learn.microsoft.com/azure/virtual-machines/vm-naming-conventions). Some families have other
    names, which are not found.
    """
    match = re.fullmatch(r"(?:standard_)?([a-z]+)\d+(?:-\d+)?([a-z]*)((?:_[a-z0-9]+)*)", size.lower())
    if match is None:
        return ()
    series, ends = match[1] + match[2], match[3].split("_")
    return tuple(f"standard{series}{''.join(order)}family" for order in (ends, ends[::-1]))


def cores_of(size: str) -> int:
    """Returns the number of cores of a node: the first number in its size, or 0 if there is none."""
    match = re.fullmatch(r"(?:standard_)?[a-z]+(\d+).*", size.lower())
    return int(match[1]) if match else 0


def has_gpus(size: str) -> bool:
    """Whether the machines of a size have GPUs: those of the series NC, ND, NG and NV
    (learn.microsoft.com/azure/virtual-machines/sizes/overview#gpu-accelerated)."""
    return re.match(r"(?:standard_)?n[cdgv]", size.lower()) is not None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

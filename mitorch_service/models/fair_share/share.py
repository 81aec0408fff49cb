"""The share that a training is counted for, where users or teams share the clusters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

By = Literal["user", "team"]


def shares_of(tags: Sequence[str], submitted_by: str | None) -> dict[str, str]:
    """Returns the share of a training by user and by team: the value of its tag, for a user also who submitted it;
    empty without either."""
    return {"user": share_of("user", tags, submitted_by), "team": share_of("team", tags, submitted_by)}


def share_of(by: By, tags: Sequence[str], submitted_by: str | None) -> str:
    """Returns one of them."""
    prefix = f"{by}="
    for tag in tags:
        if tag.startswith(prefix) and len(tag) > len(prefix):
            return tag[len(prefix) :]
    return (submitted_by or "") if by == "user" else ""


def share_name(share: str, by: By) -> str:
    """Returns what people call it."""
    return share or f"no {by}"

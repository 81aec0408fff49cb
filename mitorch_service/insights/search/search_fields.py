"""Formats the analysis of a search as fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from mitorch_service.insights.search.search_effort import Effort
from mitorch_service.wording.counted import counted

_SHOWN_PARAMETERS = 8


def search_fields(
    effort: Effort, importance: Mapping[str, Mapping[str, float]], warnings: list[str]
) -> list[tuple[str, object]]:
    """Fields by name; a value is None where there is nothing to show. `importance`: objective -> parameter -> share."""
    several = len(importance) > 1
    shares = [
        (f"importance for {objective}" if several else "importance", _shares_text(shares))
        for objective, shares in importance.items()
    ]
    return [*effort_fields(effort), *shares, *(("seen", warning) for warning in warnings)]


def effort_fields(effort: Effort) -> list[tuple[str, object]]:
    """Epochs and time, with and without early stopping."""
    saved = f" without early stopping, which kept {counted(effort.stopped, 'trial')} short" if effort.saves else ""
    epochs = f"{effort.epochs} run"
    if effort.saves:
        epochs += f", {effort.epochs / effort.epochs_without_stopping:.0%} of the {effort.epochs_without_stopping}"
    return [("epochs", epochs + saved if effort.epochs else None), ("time", _time_text(effort))]


def effort_json(effort: Effort) -> dict[str, object]:
    """Formats the effort for JSON."""
    return asdict(effort)


def _time_text(effort: Effort) -> str | None:
    spent = effort.node_hours
    whole = effort.node_hours_without_stopping
    if not spent or not whole:
        return None
    time = f"{spent:.3g} node hours"
    if effort.saves:
        time += f", {spent / whole:.0%} of the {whole:.3g} without it, at each trial's own pace"
    return time


def _shares_text(shares: Mapping[str, float]) -> str | None:
    return ", ".join(f"{key} {share:.0%}" for key, share in list(shares.items())[:_SHOWN_PARAMETERS]) or None

"""Checks that a stored state has the parts of a training's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mitorch_service.models.result import EpochResult

_PARTS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "fingerprint": str,
    "epoch": int,
    "step": int,
    "learner": Mapping,
    "random": list,
    "progress": list,
    "plateau": Mapping,
    "selection": Mapping,
    "lowered": int,
    "note": (str, type(None)),
    "history": list,
    "evaluation": Mapping,
    "best": (Mapping, type(None)),
    "best_evaluation": Mapping,
}


def is_whole(state: object) -> bool:
    """Whether every part is there and of its kind, and the results of the epochs can be read. What is within the parts
    shows when they are loaded."""
    if not isinstance(state, Mapping):
        return False
    return all(isinstance(state.get(name, _PARTS), kind) for name, kind in _PARTS.items()) and _has_results(state)


def _has_results(state: Mapping[str, Any]) -> bool:
    try:
        results = [EpochResult.model_validate(json.loads(line)) for line in state["history"]]
    except (ValueError, TypeError):  # pydantic's errors are ValueErrors
        return False
    return bool(0 <= state["epoch"] <= len(results) and state["step"] >= 0)

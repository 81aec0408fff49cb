"""The parts of a run of MLflow that both its stores have."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from mitorch_service.interop.foreign_run import Ending, ForeignRun

SYSTEM_PREFIX = "system/"  # of metrics of the machine
_INTERNAL = "mlflow."  # of tags
_ENDINGS = {"FINISHED": Ending.FINISHED, "FAILED": Ending.FAILED, "KILLED": Ending.KILLED}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][-+]?\d+)?")
_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}


def set_status(run: ForeignRun, status: str) -> None:
    """Sets how the run ended."""
    run.ending = _ENDINGS.get(status, Ending.OPEN)
    if run.ending != Ending.FINISHED:
        run.reason = f"its status in mlflow is {status}"


def set_tag(run: ForeignRun, name: str, value: str) -> None:
    """Takes over a tag; MLflow's own say what the run is."""
    if name == "mlflow.runName":
        run.name = run.name or value
    elif name == "mlflow.note.content":
        run.note = value
    elif name == "mlflow.user":
        run.user = run.user or value
    elif not name.startswith(_INTERNAL):
        run.tags.append(f"{name}={value}")


def parameter(text: str) -> Any:
    """Returns the value that a parameter had: MLflow keeps all of them as text."""
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    return text


def time_of(milliseconds: object) -> datetime | None:
    """Returns a time of MLflow's."""
    if not isinstance(milliseconds, int):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None

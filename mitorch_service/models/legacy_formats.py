"""What a submitted file is, by its shape alone: nothing here is imported but what a look at its keys needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_obdb(data: Mapping[str, Any]) -> bool:
    """Whether it is a settings file of obdb (`models.obdb`)."""
    return not {"job_type", "model", "script"} & data.keys() and bool({"variants", "sherpa_parameters"} & data.keys())


def is_task(data: Mapping[str, Any]) -> bool:
    """Whether it is a search of the original (`controller.original_task`)."""
    named = data.get("name") == "random_search" and "config" in data
    return "job_type" not in data and ("max_trainings" in data or named)

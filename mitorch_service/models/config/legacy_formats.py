"""Recognises submitted files of other systems by their keys, without importing their parsers."""

from __future__ import annotations

from collections.abc import Mapping


def is_obdb(data: Mapping[str, object]) -> bool:
    """Whether the file is a settings file of obdb (`models.obdb`)."""
    return not {"job_type", "model", "script"} & data.keys() and bool({"variants", "sherpa_parameters"} & data.keys())


def is_legacy_task(data: Mapping[str, object]) -> bool:
    """Whether the file is a search of the original MiTorch (`submission.legacy_task`)."""
    named = data.get("name") == "random_search" and "config" in data
    return "job_type" not in data and ("max_trainings" in data or named)

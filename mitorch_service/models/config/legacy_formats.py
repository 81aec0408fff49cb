"""Recognises submitted files of other systems by their keys, without importing their parsers."""

from __future__ import annotations

from collections.abc import Mapping

_EXP_CONFIG = frozenset(
    (
        "ENV_CONFIG_FILE",
        "EXP_NAME",
        "COMPUTE_NAME",
        "DATA_MOUNT",
        "IMAGE_TYPE",
        "RUN_PARAMS",
        "MODEL_PARAMS",
        "TRAIN_CSV",
    )
)


def is_obdb(data: Mapping[str, object]) -> bool:
    """Whether the file is a settings file of obdb (`models.obdb`)."""
    return not {"job_type", "model", "script"} & data.keys() and bool({"variants", "sherpa_parameters"} & data.keys())


def is_exp_config(data: Mapping[str, object]) -> bool:
    """Whether the file is exp_config.json of TensorFlow's object detection (`interop.exp_config`), also misspelt."""
    if {"job_type", "model", "script"} & data.keys():
        return False
    shouted = [key for key in data if key.isupper()]
    return bool(_EXP_CONFIG & {key.upper() for key in data}) and bool(shouted)


def is_legacy_task(data: Mapping[str, object]) -> bool:
    """Whether the file is a search of the original MiTorch (`submission.legacy_task`)."""
    named = data.get("name") == "random_search" and "config" in data
    return "job_type" not in data and ("max_trainings" in data or named)

"""Converts between Optuna's numbers of studies and trials and our ids; nothing is stored for it.

A study's number is the first eight hexadecimal digits of its job's id; the numbers of its trials are consecutive in a
range of their own. All are small enough to be exact in JavaScript, which optuna-dashboard needs.
"""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("2f0c5a3e-9a0b-5d6c-8e44-6d6974726f63")
_NUMBER_BITS = 20
_STUDY_BITS = 32

MAX_TRIALS = 1 << _NUMBER_BITS  # of one study


def job_id_of(study_name: str) -> str:
    """The id of the job of a script's study, derived from the name, so that a name is used once."""
    return str(uuid.uuid5(_NAMESPACE, study_name))


def study_id_of(job_id: str) -> int:
    """The number of the study of a job. Raises ValueError for an id that is no GUID."""
    return int(str(uuid.UUID(job_id))[:8], 16)


def prefix_of(study_id: int) -> str:
    """The beginning of the job's id. Raises KeyError for a number that no study can have."""
    if not 0 <= study_id < 1 << _STUDY_BITS:
        raise KeyError(f"There is no study {study_id}.")
    return f"{study_id:08x}"


def trial_id_of(study_id: int, number: int) -> int:
    """Optuna's id of a trial; it increases with the trial's number."""
    return study_id << _NUMBER_BITS | number


def split_trial_id(trial_id: int) -> tuple[int, int]:
    """The study's number, and the trial's within it."""
    return trial_id >> _NUMBER_BITS, trial_id & (MAX_TRIALS - 1)

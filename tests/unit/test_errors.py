"""Every error of the product crosses a process boundary whole, whatever its constructor asks for."""

from __future__ import annotations

import pickle

import pytest

from mitorch_service.errors import (
    BackendError,
    InvalidInput,
    MiTorchError,
    NoCapacity,
    NotAllowed,
    Problem,
    StoreUnavailable,
    TrainingDiverged,
)


@pytest.mark.parametrize(
    "error",
    [
        BackendError("gpu", "is down", "Start it."),
        InvalidInput("job.json", [Problem("model", "is missing"), Problem("", "is empty")]),
        NoCapacity("gpu"),
        NotAllowed("training", "ab12", "completed", "canceled", "Nothing is left to do."),
        StoreUnavailable("x.db", "is locked", "Wait."),
        TrainingDiverged(3, 14, float("inf"), 0.1),
    ],
)
def test_an_error_is_the_same_after_pickling(error: MiTorchError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)

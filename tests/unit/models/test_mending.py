"""Documents of which any part was replaced by anything: mended, or refused as lost."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitorch_service.models.mending import NotMendable, mend, restore_job, restore_training
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from tests.samples import a_job, a_trial, an_attempt

VALUES: list[Any] = [
    *(None, True, -1, 0, 10**9, 10**30, 0.5, float("nan"), float("inf"), "", "x", "new", b"\xff", object()),
    *([], ["x"], [[]], {}, {"a": 1}, {"number": 1}, [{"number": 1}]),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31)),  # noqa: DTZ001
]
ODD = st.sampled_from(VALUES)
JOB = a_job()


def a_training_document() -> dict[str, Any]:
    trial = a_trial(JOB.id, 3)
    return {**trial.to_document(), "attempt": 2, "attempts": [an_attempt(trial, n).to_document() for n in (1, 2)]}


def replace_some(data: st.DataObject, document: dict[str, Any]) -> dict[str, Any]:
    """Replaces or removes up to three values, at any depth."""
    damaged = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = damaged
        while True:
            steps = [key for key in place if key != "_id"] if isinstance(place, dict) else range(len(place))
            if not steps:
                break
            step = data.draw(st.sampled_from(list(steps)))
            if isinstance(place[step], dict | list) and data.draw(st.booleans()):
                place = place[step]
                continue
            if isinstance(place, dict) and data.draw(st.booleans()):
                del place[step]
            else:
                place[step] = data.draw(ODD)
            break
    return damaged


LIMITS = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@LIMITS
@given(data=st.data())
def test_a_training_is_mended_or_its_loss_is_told(data: st.DataObject) -> None:
    damaged = replace_some(data, a_training_document())
    try:
        mended, _ = mend(Training, restore_training(damaged, JOB.arrival))
    except NotMendable as lost:
        assert str(lost)
    else:
        Training.from_document(mended.to_document())


@LIMITS
@given(data=st.data())
def test_a_job_is_mended_or_its_loss_is_told(data: st.DataObject) -> None:
    try:
        mended, _ = mend(Job, restore_job(replace_some(data, JOB.to_document())))
    except NotMendable as lost:
        assert str(lost)
    else:
        Job.from_document(mended.to_document())

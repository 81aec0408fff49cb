"""The durations that a waiting training may be expected to take."""

from __future__ import annotations

from typing import Any

from mitorch_service.insights.waiting.recorded_durations import RecordedDurations
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Progress, TrainingRow
from tests.samples import NOW, a_training, a_trial, an_attempt, later

JOB = "11111111-1111-1111-1111-111111111111"


def _ended(
    seconds: float, epochs: int = 10, status: str = "completed", job: bool = False, **fields: Any
) -> TrainingRow:
    given = {"status": TrainingStatus(status), "max_epochs": 10, "attempt": 1, **fields}
    row = a_trial(JOB, 0, **given) if job else a_training(**given)
    row.attempts.append(an_attempt(row).model_copy(update={"ended_at": later(seconds)}))
    return row.model_copy(update={"progress": Progress(epoch=10, max_epochs=10, at=NOW)})


def test_trials_of_the_same_search_go_first_then_the_data_set_then_all_by_the_epoch() -> None:
    others = [_ended(one) for one in (100, 110, 120)]
    trials = [_ended(one, job=True, status="pruned") for one in (10, 20, 30)]
    elsewhere = [_ended(1000, dataset=DatasetRef(name="other", version=1))]
    recorded = RecordedDurations([*others, *trials, *elsewhere])
    assert len(recorded) == 7
    assert recorded.of(a_trial(JOB, 9, max_epochs=10)) == [10, 20, 30]
    assert recorded.of(a_training(max_epochs=10)) == [100, 110, 120]
    assert recorded.of(a_training(max_epochs=20)) == [200, 220, 240, 20, 40, 60]
    unknown = recorded.of(a_training(max_epochs=20, dataset=DatasetRef(name="new", version=1)))
    assert sorted(unknown) == [20, 40, 60, 200, 220, 240, 2000]


def test_what_failed_was_stopped_or_has_no_end_says_nothing() -> None:
    failed = [_ended(5, status=status) for status in ("failed", "canceled", "diverged", "running")]
    recorded = RecordedDurations([*failed, a_training(status=TrainingStatus.COMPLETED)])
    assert len(recorded) == 0
    assert recorded.of(a_training()) == []


def test_a_trial_that_pauses_is_expected_to_run_to_its_pause() -> None:
    recorded = RecordedDurations([_ended(one) for one in (100, 200, 300)])
    trial = a_trial(JOB, 0, max_epochs=10)
    assert trial.trial is not None
    pausing = trial.model_copy(update={"trial": trial.trial.model_copy(update={"pause_at": 5})})
    assert recorded.of(pausing) == [50, 100, 150]

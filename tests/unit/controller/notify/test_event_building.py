"""Events say how a training or a search has ended."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.controller.notify.event_building import job_event, training_event
from mitorch_service.models.search.job import BestTrial
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from tests.samples import NOW, a_job, a_training, a_trial, an_attempt


def test_a_search_is_told_with_its_best_trial() -> None:
    best = BestTrial(training_id="t", number=3, value=0.1234567, parameters={"lr": 0.00123456, "model": "resnet18"})
    job = a_job(status=JobStatus.COMPLETED, name="sweep", best=best, counts={"completed": 8, "failed": 2})
    event = job_event(job.model_copy(update={"status_times": {"completed": NOW}}).to_document())
    assert event is not None
    assert (event.kind, event.at, event.subject, event.name) == ("job.completed", NOW, f"job {job.id[:8]}", "sweep")
    assert event.facts == {
        "job": job.id,
        "objective": "minimize val_loss",
        "trials": "8 completed, 2 failed",
        "best": "0.123457",
        "best trial": "3",
        "best training": "t",
        "parameters": "lr 0.001235, model resnet18",
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (TrainingStatus.COMPLETED, "training.completed"),
        (TrainingStatus.DIVERGED, "training.diverged"),
        (TrainingStatus.FAILED, "training.failed"),
        (TrainingStatus.CANCELED, None),
        (TrainingStatus.PRUNED, None),
        (TrainingStatus.PAUSED, None),
    ],
)
def test_each_end_has_its_kind(status: TrainingStatus, kind: str | None) -> None:
    event = training_event(a_training(status=status).to_document())
    assert (event and event.kind.value) == kind


def test_the_same_end_is_the_same_event_and_the_next_one_is_another() -> None:
    def id_of(attempt: int, outcome: AttemptOutcome) -> str:
        attempts = [an_attempt(training, n + 1).model_copy(update={"outcome": outcome}) for n in range(attempt)]
        event = training_event(training.model_copy(update={"attempt": attempt, "attempts": attempts}).to_document())
        assert event is not None and "." not in event.id
        return event.id

    training = a_training(status=TrainingStatus.FAILED)
    assert id_of(1, AttemptOutcome.FAILED) == id_of(1, AttemptOutcome.FAILED)
    assert len({id_of(1, AttemptOutcome.FAILED), id_of(2, AttemptOutcome.FAILED), id_of(2, AttemptOutcome.LOST)}) == 3


def test_trials_and_final_trainings_are_of_a_search() -> None:
    job = a_job()
    trial = training_event(a_trial(job.id, 0, status=TrainingStatus.COMPLETED).to_document())
    alone = training_event(a_training(status=TrainingStatus.COMPLETED).to_document())
    assert trial is not None and trial.of_search and trial.facts["job"] == job.id
    assert alone is not None and not alone.of_search


def test_a_text_without_end_is_cut() -> None:
    document = a_training(status=TrainingStatus.FAILED).to_document()
    event = training_event({**document, "error": {"type": "E", "message": "x" * 1_000_000}})
    assert event is not None and event.reason is not None and len(event.reason) == 4001


@pytest.mark.parametrize("failed_at", [NOW, NOW.isoformat()])
def test_a_document_that_cannot_be_read_is_told_by_its_id(failed_at: Any) -> None:
    broken = {"_id": "abcdefghij", "status": "failed", "status_times": {"failed": failed_at}, "priority": "high"}
    for event in (training_event(broken), job_event(broken)):
        assert event is not None and event.at == NOW
        assert event.text == "failed: its document cannot be read"
        assert event.subject.endswith("abcdefgh") and event.reason
    assert training_event({**broken, "status_times": 5}) is None

"""Each check notices what it is for, and nothing in evidence that is right."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import BestTrial, Job, SearchConfig, trial_id
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Attempt, Training, Trial, run_name
from tests.chaos.checks import violations
from tests.chaos.evidence import Evidence, Record
from tests.chaos.program.fit import expected_loss

JOB = "00000000-0000-4000-8000-00000000000f"
A, FAILED, CANCELED = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(3))
AT = datetime(2026, 1, 1, tzinfo=UTC)
Doctor = Callable[[Evidence], object]


def _attempt(id: str, number: int, outcome: str) -> Attempt:
    end = AT + timedelta(seconds=number)
    return Attempt(
        number=number,
        cluster="local",
        run_name=run_name(id, number),
        queued_at=AT,
        ended_at=end,
        outcome=AttemptOutcome(outcome),
        reason="said",
    )


def _training(id: str, status: str, kind: str, outcomes: list[str], trial: int | None = None) -> Training:
    parameters = {"kind": kind, "x": 0.5, "epochs": 2, "seconds": 0}
    value = expected_loss(parameters, 2)
    completed = status == "completed"
    return Training(
        id=id,
        status=TrainingStatus(status),
        arrival=1,
        created_at=AT,
        dataset=DatasetRef(name="", version=0),
        config={"parameters": parameters},
        attempt=len(outcomes),
        attempts=[_attempt(id, number, outcome) for number, outcome in enumerate(outcomes, 1)],
        max_retries=1,
        evaluation={"val_loss": value} if completed else None,
        job_id=None if trial is None else JOB,
        trial=None
        if trial is None
        else Trial(
            number=trial,
            parameters={},
            objective="val_loss",
            direction="minimize",
            value=value if completed else None,
        ),
    )


def _notes(*events: tuple[int, str, int]) -> list[dict[str, Any]]:
    return [
        {"event": event, "attempt": attempt, "epoch": epoch, "alone": True, "pid": 1}
        for attempt, event, epoch in events
    ]


def _add(evidence: Evidence, training: Training) -> None:
    """With one attempt that did all, or two, of which the first was lost after its first epoch."""
    id, last = training.id, training.attempt
    evidence.trainings[id] = training
    evidence.runs |= {attempt.run_name for attempt in training.attempts}
    loss = {epoch: expected_loss(training.config["parameters"], epoch) for epoch in (1, 2)}
    if training.status == TrainingStatus.COMPLETED:
        evidence.records[id] = [Record(1, 1, loss[1]), Record(2, last, loss[2])]
        first = _notes((1, "start", 0), (1, "report", 1))
        second = _notes((last, "start", 0)) if last > 1 else []
        evidence.notes[id] = [*first, *second, *_notes((last, "report", 2), (last, "done", 0))]


@pytest.fixture
def evidence() -> Evidence:
    """Evidence of a run without a fault: a training that was lost once, one that fails, one that is canceled, a search
    with two trials."""
    found = Evidence(slots=3, most_at_once=3)
    _add(found, _training(A, "completed", "resumes", ["lost", "completed"]))
    _add(found, _training(FAILED, "failed", "hopeless", ["failed", "failed"]))
    _add(found, _training(CANCELED, "canceled", "plain", ["canceled"]))
    for number in range(2):
        _add(found, _training(trial_id(JOB, number), "completed", "resumes", ["completed"], number))
    found.accepted = {A, FAILED, CANCELED, JOB}
    found.canceled = {CANCELED}
    found.touched = {run_name(A, 1)}
    found.counts = {"completed": 3, "failed": 1, "canceled": 1}
    found.corrected = dict(found.counts)
    value = found.trainings[trial_id(JOB, 0)].trial
    assert value is not None
    found.jobs[JOB] = Job(
        id=JOB,
        status=JobStatus.COMPLETED,
        arrival=1,
        created_at=AT,
        dataset=DatasetRef(name="", version=0),
        config={},
        search=SearchConfig(max_trials=2),
        counts={"completed": 2},
        best=BestTrial(training_id=trial_id(JOB, 0), number=0, value=value.value or 0.0, parameters={}),
    )
    return found


def _change(id: str, **fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.trainings[id] = evidence.trainings[id].model_copy(update=fields)

    return doctor


def _change_attempt(id: str, number: int, **fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        attempts = evidence.trainings[id].attempts
        attempts[number - 1] = attempts[number - 1].model_copy(update=fields)

    return doctor


def _change_job(**fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.jobs[JOB] = evidence.jobs[JOB].model_copy(update=fields)

    return doctor


def _again(evidence: Evidence) -> None:
    evidence.notes[A].insert(0, evidence.notes[A][0])


def _beside(evidence: Evidence) -> None:
    evidence.notes[A].append({"event": "report", "attempt": 1, "epoch": 2})


def _record(index: int, record: Record) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.records[A][index] = record

    return doctor


def _spent(id: str, status: str, kind: str, outcomes: list[str]) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.touched |= {run_name(id, number + 1) for number in range(len(outcomes))}
        _add(evidence, _training(id, status, kind, outcomes))

    return doctor


def _third_trial(evidence: Evidence) -> None:
    _add(evidence, _training(trial_id(JOB, 2), "completed", "resumes", ["completed"], 2))
    evidence.counts["completed"] += 1
    evidence.corrected["completed"] += 1
    evidence.jobs[JOB].counts["completed"] += 1


def _foreign_trial(evidence: Evidence) -> None:
    training = evidence.trainings.pop(trial_id(JOB, 1))
    evidence.trainings["x"] = training.model_copy(update={"id": "x"})


_DOCTORED: dict[str, tuple[Doctor, str]] = {
    "a lost submission": (lambda e: e.accepted.add("gone"), "gone was accepted"),
    "wrong counts": (lambda e: e.counts.update(completed=4), "the counts are"),
    "counts that stay wrong": (lambda e: e.corrected.update(completed=4), "the corrected counts are"),
    "a damaged database": (lambda e: e.damage.append("page 7"), "the database is damaged: page 7"),
    "an unreadable document": (lambda e: e.unreadable.append("x"), "an unreadable document"),
    "a process left": (lambda e: e.left_processes.append("7 sleep"), "a process was left behind"),
    "a file left": (lambda e: e.left_files.append("tmp/x"), "a file was left behind"),
    "a traceback": (lambda e: e.unforeseen.append("x"), "an unforeseen error"),
    "too many at once": (lambda e: setattr(e, "most_at_once", 4), "4 runs were at work at once"),
    "a run of no attempt": (lambda e: e.runs.add(run_name(A, 3)), "no attempt is known by this name"),
    "not ended": (_change(A, status=TrainingStatus.RUNNING), "it is running in the end"),
    "a missing attempt": (_change(A, attempt=3), "its attempts are [1, 2], the current one 3"),
    "an attempt without an end": (_change_attempt(A, 1, ended_at=None), "attempt 1 has no end"),
    "given up without a cause": (lambda e: e.touched.clear(), "given up though nothing happened"),
    "lost too often": (_spent(A, "failed", "plain", ["lost"] * 4), "it was lost 4 times, of 3"),
    "failed too often": (_spent(FAILED, "failed", "hopeless", ["failed"] * 3), "it failed 3 times, of 2"),
    "started twice": (_again, "attempt 1 was started 2 times"),
    "started beyond the last": (
        lambda e: e.notes[A].extend(_notes((3, "start", 0))),
        "attempt 3 was started, and the last one is 2",
    ),
    "two at once": (lambda e: e.notes[A][2].update(alone=False), "attempt 2 was started while another one lived"),
    "a live predecessor": (_beside, "an attempt went on beside its successor"),
    "a missing epoch": (lambda e: e.records[A].pop(0), "its results are of the epochs [2]"),
    "an epoch twice": (lambda e: e.records[A].insert(0, e.records[A][0]), "its results are of the epochs [1, 1, 2]"),
    "an epoch of nobody": (
        _record(1, Record(2, 1, 0.373333)),
        "epoch 2 is recorded by attempt 1, and none until then has reported it",
    ),
    "a wrong loss": (_record(1, Record(2, 2, 0.5)), "epoch 2 is recorded with the loss 0.5"),
    "a stale write": (
        lambda e: (_record(0, Record(1, 2, 0.54))(e), _record(1, Record(2, 1, 0.373333))(e)),
        "its epochs are by the attempts [2, 1]",
    ),
    "completed twice": (_change_attempt(A, 1, outcome=AttemptOutcome.COMPLETED), "it is completed, and its attempts"),
    "an end without completion": (_change(A, status=TrainingStatus.FAILED), "it is failed, and its attempts"),
    "a failing script completed": (
        _spent(FAILED, "completed", "hopeless", ["completed"]),
        "completed, though its script always fails",
    ),
    "too few epochs": (lambda e: e.records[A].pop(), "it is completed with 1 of 2 epochs"),
    "a wrong evaluation": (_change(A, evaluation={"val_loss": 9.0}), "it is completed with {'val_loss': 9.0}"),
    "not run to its end": (lambda e: e.notes[A].pop(), "its script has never come to its end"),
    "a kill counted as an error": (
        _spent(A, "failed", "plain", ["failed", "failed"]),
        "though it is of the kind",
    ),
    "failed too early": (_spent(A, "failed", "plain", ["lost", "lost"]), "it failed before its budgets were spent"),
    "canceled by nobody": (lambda e: e.canceled.clear(), "it is canceled, which nobody has ordered"),
    "a paused training": (_spent(A, "paused", "plain", ["paused"]), "it is paused, but no trial"),
    "a diverged one": (_spent(A, "diverged", "plain", ["diverged"]), "it is diverged"),
    "a search without an end": (_change_job(status=JobStatus.RUNNING), "it is running in the end"),
    "a trial of another id": (_foreign_trial, "its trials are [0, 1]"),
    "a trial too many": (_third_trial, "it has 3 trials, 0 of them failed, and may have 2"),
    "a trial too few": (lambda e: e.trainings.pop(trial_id(JOB, 1)), "completed after 1 trials of 2"),
    "wrong counts of a search": (_change_job(counts={"completed": 1}), "it counts {'completed': 1}"),
    "a wrong best": (_change_job(best=None), "its best is None"),
}


def test_nothing_is_found_where_nothing_is_wrong(evidence: Evidence) -> None:
    assert violations(evidence) == []


def test_what_an_earlier_attempt_has_reported_may_be_recorded_by_a_later_one(evidence: Evidence) -> None:
    """It has found it on the disk or with a checkpoint."""
    evidence.records[A][0] = Record(1, 2, 0.54)
    assert violations(evidence) == []


def test_large_counts_may_be_off_until_they_are_corrected(evidence: Evidence) -> None:
    evidence.counts["completed"] += 1
    evidence.exact_up_to = 3
    assert violations(evidence) == []
    evidence.exact_up_to = 4
    assert any("the counts are" in text for text in violations(evidence))


@pytest.mark.parametrize("name", _DOCTORED)
def test_what_is_wrong_is_found(name: str, evidence: Evidence) -> None:
    doctored = deepcopy(evidence)
    doctor, expected = _DOCTORED[name]

    doctor(doctored)

    assert any(expected in text for text in violations(doctored)), violations(doctored)

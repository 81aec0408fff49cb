"""The checks at the end of a chaos run. Pure: each one is tested with doctored evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mitorch_service.models.attempts.attempt_budgets import MAX_LOST_ATTEMPTS
from mitorch_service.models.search.job import trial_id
from mitorch_service.models.status import ENDED, ENDED_JOBS, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, Training, run_of
from tests.chaos.engine_checks import of_engine
from tests.chaos.engine_evidence import is_engine
from tests.chaos.evidence import Evidence
from tests.chaos.program.fit import expected_loss


def violations(evidence: Evidence) -> list[str]:
    """All that does not hold, in words."""
    found = [*_of_service(evidence), *_of_runs(evidence)]
    for training in evidence.trainings.values():
        found += [f"training {training.id}: {text}" for text in _of_training(evidence, training)]
    for job_id in evidence.jobs:
        found += [f"search {job_id}: {text}" for text in _of_search(evidence, job_id)]
    return found


def _of_service(evidence: Evidence) -> Iterator[str]:
    for id in sorted(evidence.accepted - {*evidence.trainings, *evidence.jobs}):
        yield f"{id} was accepted, and is not in the database"
    counted = Counter(training.status.value for training in evidence.trainings.values())
    told = Counter(evidence.counts)
    if any(told[status] != counted[status] and told[status] <= evidence.exact_up_to for status in {*told, *counted}):
        yield f"the counts are {evidence.counts}, but there are {dict(counted)}"
    if counted != Counter(evidence.corrected):
        yield f"the corrected counts are {evidence.corrected}, but there are {dict(counted)}"
    for what, texts in (
        ("the database is damaged", evidence.damage),
        ("an unreadable document", evidence.unreadable),
        ("a process was left behind", evidence.left_processes),
        ("a file was left behind", evidence.left_files),
        ("an unforeseen error", evidence.unforeseen),
    ):
        yield from (f"{what}: {text}" for text in texts)


def _of_runs(evidence: Evidence) -> Iterator[str]:
    if evidence.most_at_once > evidence.slots:
        yield f"{evidence.most_at_once} runs were at work at once on {evidence.slots} slots"
    for name in sorted(evidence.runs):
        id, number = run_of(name) or ("", 0)
        training = evidence.trainings.get(id)
        if training is None or not 0 < number <= training.attempt:
            yield f"the run {name} was started, and no attempt is known by this name"


def _of_training(evidence: Evidence, training: Training) -> Iterator[str]:
    if training.status not in ENDED:
        yield f"it is {training.status} in the end"
    yield from _of_attempts(evidence, training)
    yield from _of_notes(evidence, training)
    yield from _of_records(evidence, training)
    yield from _of_status(evidence, training)
    yield from of_engine(evidence, training) if is_engine(training) else _of_script(evidence, training)


def _of_attempts(evidence: Evidence, training: Training) -> Iterator[str]:
    """Each attempt has one end, none is missing, and none was given up without a cause."""
    numbers = [attempt.number for attempt in training.attempts]
    if numbers != list(range(1, training.attempt + 1)):
        yield f"its attempts are {numbers}, the current one {training.attempt}"
    for attempt in training.attempts:
        if attempt.outcome is None or attempt.ended_at is None:
            yield f"attempt {attempt.number} has no end"
        elif attempt.outcome == AttemptOutcome.LOST and attempt.run_name not in evidence.touched:
            yield f"attempt {attempt.number} was given up though nothing happened to its run: {attempt.reason}"
        elif attempt.outcome == AttemptOutcome.LOST and attempt.run_name in evidence.outlived and _is_gone(attempt):
            yield f"attempt {attempt.number} was given up, and still lived beside the next one: {attempt.reason}"
    lost = training.attempts_ended_as(AttemptOutcome.LOST)
    if lost > MAX_LOST_ATTEMPTS:
        yield f"it was lost {lost} times, of {MAX_LOST_ATTEMPTS}"
    failed = training.attempts_ended_as(AttemptOutcome.FAILED)
    if failed > training.max_retries + 1:
        yield f"it failed {failed} times, of {training.max_retries + 1}"


def _is_gone(attempt: Attempt) -> bool:
    """Whether it was given up by its cluster's word. A run that has recorded its script's end has only to exit."""
    return not (attempt.reason or "").startswith("the script")


def _of_notes(evidence: Evidence, training: Training) -> Iterator[str]:
    """No attempt was started twice, and no two scripts of the training lived at once."""
    notes = evidence.notes.get(training.id, [])
    starts = [note for note in notes if note["event"] == "start"]
    for number, times in Counter(note["attempt"] for note in starts).items():
        if times > 1:
            yield f"attempt {number} was started {times} times"
        if number > training.attempt:
            yield f"attempt {number} was started, and the last one is {training.attempt}"
    for note in starts:
        if not note["alone"]:
            yield f"attempt {note['attempt']} was started while another one lived (process {note['pid']})"
    numbers = [note["attempt"] for note in notes]
    if numbers != sorted(numbers):
        yield f"an attempt went on beside its successor: {numbers}"


def _of_records(evidence: Evidence, training: Training) -> Iterator[str]:
    """Each record is what the script has reported: by the attempt that has recorded it, or by one before, whose results
    it found on the disk or with a checkpoint."""
    records = evidence.records.get(training.id, [])
    told: dict[int, int] = {}  # by epoch the first attempt that has reported it
    for note in evidence.notes.get(training.id, ()):
        if "epoch" in note:
            told.setdefault(note["epoch"], note["attempt"])
    epochs = [record.epoch for record in records]
    if epochs != list(range(1, len(epochs) + 1)):
        yield f"its results are of the epochs {epochs}"
    for record in records:
        if record.epoch not in told or record.attempt < told[record.epoch]:
            yield f"epoch {record.epoch} is recorded by attempt {record.attempt}, and none until then has reported it"
    attempts = [record.attempt for record in records]
    if attempts != sorted(attempts):
        yield f"its epochs are by the attempts {attempts}"


def _of_status(evidence: Evidence, training: Training) -> Iterator[str]:
    outcomes = [attempt.outcome for attempt in training.attempts]
    completed = [attempt.number for attempt in training.attempts if attempt.outcome == AttemptOutcome.COMPLETED]
    if (training.status == TrainingStatus.COMPLETED) != (completed == [training.attempt] and bool(completed)):
        yield f"it is {training.status}, and its attempts are {[str(outcome) for outcome in outcomes]}"
    if training.status == TrainingStatus.FAILED:
        yield from _of_failed(training)
    elif training.status == TrainingStatus.CANCELED and training.id not in evidence.canceled:
        yield "it is canceled, which nobody has ordered"
    elif training.status in (TrainingStatus.PRUNED, TrainingStatus.PAUSED) and training.trial is None:
        yield f"it is {training.status}, but no trial"
    elif training.status == TrainingStatus.DIVERGED:
        yield "it is diverged"


def _of_script(evidence: Evidence, training: Training) -> Iterator[str]:
    """Its results are those that the script has computed."""
    for record in evidence.records.get(training.id, []):
        if record.val_loss != expected_loss(training.config["parameters"], record.epoch):
            yield f"epoch {record.epoch} is recorded with the loss {record.val_loss}"
    if training.status == TrainingStatus.COMPLETED:
        yield from _of_completed_script(evidence, training)


def _of_completed_script(evidence: Evidence, training: Training) -> Iterator[str]:
    parameters = training.config["parameters"]
    if parameters["kind"] == "hopeless":
        yield "it is completed, though its script always fails"
    epochs = len(evidence.records.get(training.id, []))
    if epochs != parameters["epochs"]:
        yield f"it is completed with {epochs} of {parameters['epochs']} epochs"
    expected = {"val_loss": expected_loss(parameters, parameters["epochs"])}
    if training.evaluation != expected:
        yield f"it is completed with {training.evaluation} in place of {expected}"
    if not any(note["event"] == "done" for note in evidence.notes.get(training.id, ())):
        yield "it is completed, but its script has never come to its end"


def _of_failed(training: Training) -> Iterator[str]:
    """Only a script that fails, or a spent budget of lost attempts, may fail a training."""
    failed = training.attempts_ended_as(AttemptOutcome.FAILED)
    kind = "engine" if is_engine(training) else training.config["parameters"]["kind"]
    allowed = {"hopeless": training.max_retries + 1, "fails": 1}.get(kind, 0)
    if failed > allowed:
        reasons = [_reason(attempt) for attempt in training.attempts]
        yield f"it failed {failed} times, though it is of the kind {kind!r}: {reasons}"
    lost = training.attempts_ended_as(AttemptOutcome.LOST)
    if lost < MAX_LOST_ATTEMPTS and (kind != "hopeless" or failed < training.max_retries + 1):
        reasons = [_reason(attempt) for attempt in training.attempts]
        yield f"it failed before its budgets were spent: {reasons}"


def _reason(attempt: Attempt) -> str:
    return f"{attempt.outcome}: {attempt.reason}"


def _of_search(evidence: Evidence, job_id: str) -> Iterator[str]:
    job = evidence.jobs[job_id]
    if job.status not in ENDED_JOBS:
        yield f"it is {job.status} in the end"
    trials = [training for training in evidence.trainings.values() if training.job_id == job_id]
    numbers = sorted(training.trial.number for training in trials if training.trial)
    if numbers != list(range(len(trials))) or {t.id for t in trials} != {trial_id(job_id, n) for n in numbers}:
        yield f"its trials are {numbers}"
    failed = sum(training.status in (TrainingStatus.FAILED, TrainingStatus.CANCELED) for training in trials)
    if len(trials) - failed > job.search.max_trials:
        yield f"it has {len(trials)} trials, {failed} of them failed, and may have {job.search.max_trials}"
    if job.status == "completed" and len(trials) < job.search.max_trials:
        yield f"it is completed after {len(trials)} trials of {job.search.max_trials}"
    counted = Counter(training.status.value for training in trials)
    if counted != Counter(job.counts):
        yield f"it counts {job.counts}, but its trials are {dict(counted)}"
    values = [t.trial.value for t in trials if t.trial and t.status == TrainingStatus.COMPLETED]
    best = min((value for value in values if value is not None), default=None)
    if job.status == "completed" and (job.best is None or job.best.value != best):
        yield f"its best is {job.best}, but the lowest value is {best}"

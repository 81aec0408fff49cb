"""The time of a training by its phases: waiting, starting, running. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Attempt, TrainingRow

Phase = Literal["waiting", "starting", "running"]
WORDS: dict[Phase, str] = {
    "waiting": "in the queue, or between two attempts",
    "starting": "on its cluster, before its process reported",
    "running": "running",
}


@dataclass(frozen=True)
class Span:
    """A stretch of time of one phase."""

    phase: Phase
    start: datetime
    end: datetime
    attempt: int | None  # None: of no attempt

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def timeline(training: TrainingRow, now: datetime) -> list[Span]:
    """The spans from the submission to the end of the last attempt, or to now; those without length are left out."""
    return [span for span in _spans(training, now) if span.end > span.start]


def total(spans: Sequence[Span], phase: Phase) -> timedelta:
    """The time that all spans of one phase take."""
    return sum((span.length for span in spans if span.phase == phase), timedelta())


def _spans(training: TrainingRow, now: datetime) -> Iterator[Span]:
    at = training.created_at
    for attempt in training.attempts:
        begin = max(at, attempt.queued_at)
        yield Span("waiting", at, begin, None)
        end = now if attempt.ended_at is None else max(begin, attempt.ended_at)
        yield from _of_attempt(attempt, begin, end)
        at = end
    if training.status == TrainingStatus.NEW:
        yield Span("waiting", at, now, None)


def _of_attempt(attempt: Attempt, begin: datetime, end: datetime) -> Iterator[Span]:
    started = end if attempt.started_at is None else min(max(begin, attempt.started_at), end)
    yield Span("starting", begin, started, attempt.number)
    yield Span("running", started, end, attempt.number)

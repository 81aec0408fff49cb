"""A training that makes no step is ended; one that does is not."""

from __future__ import annotations

import threading

from mitorch_service.runs.silence import Silence
from mitorch_service.runs.step_watch import StepWatch
from mitorch_service.training.loop.reporter import NullReporter


def test_a_training_that_makes_no_step_is_ended_with_the_reason() -> None:
    ended = threading.Event()
    reasons: list[str] = []

    def end(reason: str) -> None:
        reasons.append(reason)
        ended.set()

    with StepWatch(NullReporter(), Silence(0.3), end) as watch:
        watch.step_ended(1, 1, 2, 0.5)
        assert ended.wait(20)
    assert reasons == ["the training made no step for 0.3 s (max_silence): it hangs"]


def test_steps_and_validation_batches_are_signs_of_life() -> None:
    now = 0.0
    silence = Silence(2.5, lambda: now)
    watch = StepWatch(NullReporter(), silence, lambda reason: None)
    for report in (lambda: watch.step_ended(1, 1, 2, 0.5), watch.should_stop, lambda: None):
        answers = []
        for _ in range(2):
            now += 1.0
            answers.append(silence.is_too_long())
        assert answers == [False, False]
        report()
    now += 1.0
    assert silence.is_too_long()


def test_without_a_limit_nothing_is_watched() -> None:
    before = threading.active_count()
    with StepWatch(NullReporter(), None, lambda reason: None):
        assert threading.active_count() == before

"""Early stopping of running trials: what they write and ask, and what becomes of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from mitorch_service.models.config.early_stopping import OPTIONS, EarlyStopping, Rule
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training, Trial
from mitorch_service.runs.search.trial_stopping import TrialStopping
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.search.stopping.base import Standing
from mitorch_service.search.stopping.registry import DEFAULT, RULES, stopper
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_result, a_training, an_attempt, later

MAX_EPOCHS = 9
RULE = EarlyStopping(rule="asha", factor=3)


def running_trial(
    store: Store, job: Job, number: int, rule: EarlyStopping = RULE, direction: Any = "minimize"
) -> Training:
    """A trial whose first attempt runs."""
    trial = Trial(number=number, parameters={}, objective="val_loss", direction=direction, early_stopping=rule)
    training = a_training(job_id=job.id, trial=trial, max_epochs=MAX_EPOCHS)
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    return store.runs.start_training(training.id, 1, "worker", NOW)


def run(store: Store, training: Training, values: Sequence[float]) -> int:
    """How many epochs the trial runs."""
    stopping = TrialStopping.of(store, training)
    assert stopping is not None
    for epoch, value in enumerate(values, 1):
        if stopping.ends_after(a_result(epoch, val_loss=value)):
            return epoch
    return len(values)


def expected(rule: EarlyStopping, number: int, values: Sequence[float], rungs: dict[Any, list[float]]) -> int:
    """The same by the search room alone."""
    asked = stopper(rule.rule, MAX_EPOCHS, **rule.options())
    losses = [value if math.isfinite(value) else math.inf for value in values]
    for epochs in range(1, MAX_EPOCHS):
        question = asked.question(number, losses[:epochs])
        if question is not None:
            others = rungs.setdefault((question.bracket, question.epochs), [])
            others.append(question.loss)
            if asked.stops(question, Standing.of(question, others)):
                return epochs
    return MAX_EPOCHS


@pytest.mark.parametrize("rule", OPTIONS)
def test_a_trial_ends_where_the_rule_says(store: Store, rule: Rule) -> None:
    job, rungs, config = a_job(), dict[Any, list[float]](), EarlyStopping(rule=rule)
    for number in range(12):
        level = (number * 7 % 12) / 12
        values = [level + 1 / epoch if number % 5 else math.nan for epoch in range(1, MAX_EPOCHS + 1)]
        assert run(store, running_trial(store, job, number, config), values) == expected(config, number, values, rungs)


def test_the_rules_of_a_config_are_those_of_the_search_room() -> None:
    assert set(OPTIONS) == set(RULES)
    assert EarlyStopping().rule == DEFAULT
    for rule, options in OPTIONS.items():
        given = EarlyStopping(**{"rule": rule, **dict.fromkeys(options, 2)})
        assert stopper(rule, MAX_EPOCHS, **given.options())


def test_a_trial_that_is_to_be_maximized_is_compared_so_and_keeps_its_values(store: Store) -> None:
    job = a_job()
    assert run(store, running_trial(store, job, 0, direction="maximize"), [0.5] * 9) == 9
    worse = running_trial(store, job, 1, direction="maximize")
    assert run(store, worse, [0.4] * 9) == 1
    trial = store.trainings.get_training(worse.id).trial
    assert trial is not None
    assert (trial.curve, trial.value) == ({"1": 0.4}, None)


def test_the_search_is_told_the_best_value_up_to_each_rung(store: Store) -> None:
    trial = running_trial(store, a_job(), 0, EarlyStopping(rule="asha", factor=3, min_epochs=1), "maximize")
    run(store, trial, [0.1, 0.6, 0.4, 0.5, 0.7, math.nan, 0.6, 0.5, 0.2])
    told = store.trainings.get_training(trial.id).trial
    assert told is not None
    assert told.curve == {"1": 0.1, "3": 0.6}


EAGER = [EarlyStopping(rule="patient", patience=1), EarlyStopping(rule="median", min_trials=1)]


def test_a_script_that_reports_some_epochs_is_judged_by_those(store: Store) -> None:
    job, rule = a_job(), EarlyStopping(rule="asha", factor=2, min_epochs=1)  # rungs 1, 2 and 4 of 9 epochs
    stops: dict[int, int | None] = {}
    for number, level in enumerate((0.1, 0.2, 0.3)):
        trial = running_trial(store, job, number, rule)
        stopping = TrialStopping(store, trial)
        stops[number] = next((e for e in (3, 6, 9) if stopping.ends_after(a_result(e, val_loss=level + 1 / e))), None)
        if stopping.decision is not None:
            assert stopping.decision.reason.startswith(f"stopped early after epoch {stops[number]}: ")
    assert stops == {0: None, 1: 3, 2: 3}
    row = store.jobs.latest_trials(job.id, 3)[-1]
    assert row.trial.curve == {"3": 0.1 + 1 / 3, "6": 0.1 + 1 / 6}  # the rungs 2 and 4 were passed
    assert [store.rungs.count_rung(job.id, rung) for rung in (1, 2, 4)] == [0, 3, 1]


@pytest.mark.parametrize("rule", EAGER)
@pytest.mark.parametrize("epochs", [(3, 6, 9), (9,), (0, 4, 8), range(9), range(1, 10)], ids=str)
def test_no_trial_is_pruned_after_its_last_epoch(store: Store, rule: EarlyStopping, epochs: Sequence[int]) -> None:
    job = a_job()
    for number in range(6):
        stopping = TrialStopping(store, running_trial(store, job, number, rule))
        ended = [epoch for epoch in epochs if stopping.ends_after(a_result(epoch, val_loss=number + epoch))]
        assert epochs[-1] not in ended or len(ended) > 1  # the decision was made before


def test_a_number_that_is_none_loses_and_disables_nothing(store: Store) -> None:
    job = a_job()
    assert run(store, running_trial(store, job, 0), [math.nan] * 9) == 9  # the best so far
    assert run(store, running_trial(store, job, 1), [5.0] * 9) == 9
    assert run(store, running_trial(store, job, 2), [math.inf] * 9) == 1
    assert run(store, running_trial(store, job, 3), [6.0] * 9) == 1


def test_an_attempt_that_died_on_the_answer_gets_it_from_the_next(store: Store) -> None:
    job = a_job()
    run(store, running_trial(store, job, 0), [0.1] * 9)
    trial = running_trial(store, job, 1)
    store.runs.record_epoch(trial.id, 1, MAX_EPOCHS, a_result(1, val_loss=0.9))
    again = TrialStopping(store, trial)
    assert again.decision is not None
    assert again.decision.reason == "stopped early after epoch 1: 1 of 1 others did better"
    assert TrialStopping(store, trial).decision == again.decision
    assert store.rungs.standing(job.id, 0, 1, 1.0) == (2, 2)


def test_the_run_is_told_to_stop_before_its_next_epoch(store: Store) -> None:
    job, stop = a_job(), threading.Event()
    run(store, running_trial(store, job, 0), [0.1] * 9)
    trial = running_trial(store, job, 1)
    stopping = TrialStopping.of(store, trial)
    reporter = StoreReporter(store, trial.id, 1, MAX_EPOCHS, lambda: later(9), stop, stopping=stopping)
    try:
        reporter.epoch_ended(a_result(1, val_loss=0.9))
        assert reporter.should_stop()
        assert reporter.decision is not None
        assert len(store.runs.curve(trial.id).items) == 1
    finally:
        reporter.close()


def test_a_training_of_no_search_asks_nothing(store: Store) -> None:
    assert TrialStopping.of(store, a_training()) is None

"""Early stopping, promotion and population based training: decisions from what a store answers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from mitorch_service.search.stopping.asha import Asha
from mitorch_service.search.stopping.base import Question, Standing, Stopper
from mitorch_service.search.stopping.hyperband import Hyperband
from mitorch_service.search.stopping.patient import Patient
from mitorch_service.search.stopping.percentile import Percentile
from mitorch_service.search.stopping.registry import DEFAULT, stopper

SAVING: dict[str, Stopper] = {
    "asha": stopper("asha", 27),
    "hyperband": stopper("hyperband", 27),
    "median": stopper("median", 27),
    "percentile": stopper("percentile", 27, percentile=25),
}


def test_the_default_rule_is_known_and_options_reach_it() -> None:
    assert DEFAULT in SAVING
    patient = stopper("patient", 27, patience=3)
    assert isinstance(patient, Patient)
    assert patient.patience == 3


def run(rule: Stopper, curves: Sequence[Sequence[float]]) -> list[int]:
    """The epochs that each trial runs, one trial after the other."""
    seen: dict[tuple[int, int], list[float]] = {}
    lengths = []
    for number, curve in enumerate(curves):
        for epochs in range(1, len(curve) + 1):
            question = rule.question(number, curve[:epochs])
            if question is None or epochs == len(curve):
                continue
            known = seen.setdefault((question.bracket, question.epochs), [])
            known.append(question.loss)
            if rule.stops(question, Standing.of(question, known)):
                break
        lengths.append(epochs)
    return lengths


def curves(count: int, epochs: int = 27) -> list[list[float]]:
    """Losses that fall to an end of their own, which their first epochs show."""
    generator = random.Random(0)
    ends = [generator.random() for _ in range(count)]
    return [[end + 1 / epoch for epoch in range(1, epochs + 1)] for end in ends]


@pytest.mark.parametrize("name", SAVING)
def test_most_epochs_are_saved_and_the_best_trial_runs_to_its_end(name: str) -> None:
    trials = curves(60)
    lengths = run(SAVING[name], trials)
    assert sum(lengths) < 0.8 * 60 * 27
    best = min(range(60), key=lambda number: trials[number][-1])
    assert lengths[best] == 27


@pytest.mark.parametrize("name", SAVING)
def test_what_is_not_finite_loses_and_disables_nothing(name: str) -> None:
    trials = curves(60)
    with_broken = [curve if number % 4 else [math.inf] * 27 for number, curve in enumerate(trials)]
    lengths = run(SAVING[name], with_broken)
    best = min((number for number in range(60) if number % 4), key=lambda number: trials[number][-1])
    assert lengths[best] == 27
    assert sum(lengths[40::4]) < sum(lengths[41::4]) or name == "hyperband"
    assert sum(lengths) < 0.9 * 60 * 27


@pytest.mark.parametrize("rule", [Asha(8), Percentile(min_epochs=4)])
def test_a_trial_is_judged_by_its_best_epoch_and_loses_with_what_is_not_finite(rule: Stopper) -> None:
    assert rule.question(0, [0.9, 0.3, 0.7, 0.5]) == Question(4, 0.3)
    assert rule.question(0, [0.9, 0.3, 0.7, math.inf]) == Question(4, math.inf)


def test_successive_halving_asks_at_its_rungs_only() -> None:
    rule = Asha(27, min_epochs=1, factor=3)
    asked = [epochs for epochs in range(1, 28) if rule.question(0, [1.0] * epochs)]
    assert asked == [1, 3, 9]
    question = Question(3, 0.5)
    assert not rule.stops(question, Standing(1, 0))
    assert rule.stops(question, Standing(2, 1))
    assert not rule.stops(question, Standing(9, 2))
    assert rule.stops(question, Standing(9, 3))


EVERY_EIGHTH = [8, 16, 24, 32, 40]


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        (Asha(40), [5, 10, 20, None, None]),
        (Asha(40, factor=4), [None, 10, None, None, None]),
        (Asha(40, min_epochs=1), [5, 10, 20, None, None]),
        (Percentile(), EVERY_EIGHTH),
        (Percentile(min_epochs=10, every=5), [None, 15, 20, 30, 40]),
        (Percentile(min_epochs=9, every=10), [None, 9, 19, 29, 39]),
    ],
)
def test_rungs_are_passed_by_the_epochs_that_are_reported(rule: Stopper, asked: list[int | None]) -> None:
    losses = [1.0] * 5
    questions = [rule.question(0, losses[:count], EVERY_EIGHTH[:count]) for count in range(1, 6)]
    assert [question and question.epochs for question in questions] == asked


@pytest.mark.parametrize("rule", [Asha(16), Hyperband(16), Percentile(every=3), Patient(3)])
def test_a_report_of_each_epoch_is_the_default(rule: Stopper) -> None:
    losses = [math.sin(epoch) for epoch in range(16)]
    for count in range(1, 17):
        assert rule.question(1, losses[:count]) == rule.question(1, losses[:count], list(range(1, count + 1)))


def test_patience_is_in_epochs_however_many_are_reported() -> None:
    rule = Patient(patience=20)
    assert rule.question(0, [3.0, 3.5, 3.6], [8, 16, 24]) is None  # 16 epochs since the best one
    assert rule.question(0, [3.0, 3.5, 3.6, 3.7], [8, 16, 24, 32]) == Question(32, math.inf)
    assert rule.question(0, [3.0, 3.5, 2.9, 3.7], [8, 16, 24, 32]) is None


@pytest.mark.parametrize(
    ("max_epochs", "expected"), [(1, []), (2, [1]), (10, [1, 2, 5]), (27, [3, 6, 13]), (100, [12, 25, 50])]
)
def test_by_default_halves_go_on_from_an_eighth_of_the_epochs_to_a_half(max_epochs: int, expected: list[int]) -> None:
    rule = Asha(max_epochs)
    assert rule.rungs == rule.observed_epochs(max_epochs) == expected
    assert not rule.stops(Question(3, 0.5), Standing(10, 4))
    assert rule.stops(Question(3, 0.5), Standing(10, 5))


def test_one_trial_of_eight_is_never_ended_by_successive_halving() -> None:
    assert [number for number in range(24) if Asha(27).question(number, [math.inf] * 3) is None] == [5, 13, 21]
    assert all(Asha(27, spares=False).question(number, [1.0] * 3) for number in range(24))


def test_brackets_begin_at_the_rungs_of_successive_halving() -> None:
    assert [bracket.rungs for bracket in Hyperband(20).brackets] == [[2, 6], [6]]
    assert Hyperband(2).brackets[0].rungs == []


def test_brackets_of_hyperband_follow_from_the_number_and_compare_among_themselves() -> None:
    rule = Hyperband(27)
    brackets = [rule.bracket(number) for number in range(60)]
    assert set(brackets) == {0, 1, 2}
    assert brackets.count(0) > brackets.count(1) > brackets.count(2)
    first = brackets.index(2)
    assert rule.question(first, [1.0]) is None
    assert rule.question(first, [1.0] * 9) == Question(9, 1.0, 2)


def test_the_median_rule_waits_for_others_and_looks_at_the_best_so_far() -> None:
    rule = Percentile(50, min_epochs=3, min_trials=5)
    assert rule.question(0, [0.1, 5.0]) is None
    question = rule.question(0, [0.1, 5.0, 4.0])
    assert question == Question(3, 0.1)
    assert not rule.stops(question, Standing(5, 4))
    assert rule.stops(question, Standing(6, 3))
    assert not rule.stops(question, Standing(7, 3))


def test_patience_looks_at_the_own_curve() -> None:
    rule = Patient(patience=2, min_delta=0.1)
    assert rule.question(0, [3.0, 2.0]) is None
    assert rule.question(0, [3.0, 2.0, 1.5]) is None
    question = rule.question(0, [3.0, 2.0, 1.95, 2.5])
    assert question is not None
    assert rule.stops(question, Standing(1, 0))
    assert rule.question(0, [math.inf, math.inf, 5.0]) is None

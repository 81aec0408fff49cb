"""The data that models are fitted to, and the warnings shown about a search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import boxcox

from mitorch_service.search.analysis.importance import importance
from mitorch_service.search.analysis.search_warnings import search_warnings
from mitorch_service.search.base import History, TrialRecord, TrialState
from mitorch_service.search.samplers.gaussian_process import fit
from mitorch_service.search.samplers.gp import log_expected_improvement
from mitorch_service.search.samplers.loss_transforms import box_cox
from mitorch_service.search.samplers.observations import observe, observe_all, of_objective
from mitorch_service.search.samplers.pareto import pareto_front, ranked
from mitorch_service.search.samplers.registry import sampler
from tests.unit.search.samples import CONDITIONAL, NUMBERS, completed, searched, study_of

POINT = {"x": 0.5, "y": 0.1}


def trial(number: int, state: TrialState, curve: dict[int, float], *values: float) -> TrialRecord:
    """A trial with some of its curve."""
    return TrialRecord(number, POINT, state, values, curve)


def test_the_end_of_a_stopped_trial_is_estimated_from_those_that_went_on() -> None:
    """The loss halves from rung to rung, so that of a trial stopped at 0.8 after one epoch would be 0.2."""
    whole = [trial(n, TrialState.COMPLETED, {1: v, 3: v / 2}, v / 4) for n, v in enumerate((0.4, 0.5, 0.6, 0.7))]
    stopped = [trial(4, TrialState.PRUNED, {1: 0.8}), trial(5, TrialState.PRUNED, {1: 0.9, 3: 0.45})]
    running = [trial(6, TrialState.RUNNING, {1: 1.0}), trial(7, TrialState.RUNNING, {})]
    losses = observe(History(study_of(NUMBERS), [*whole, *stopped, *running])).losses
    assert losses.tolist() == pytest.approx([0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25])


def test_a_stopped_trial_is_never_taken_for_a_new_best() -> None:
    whole = [trial(0, TrialState.COMPLETED, {1: 0.5}, 0.3)]
    losses = observe(History(study_of(NUMBERS), [*whole, trial(1, TrialState.PRUNED, {1: 0.1})])).losses
    assert losses.tolist() == [0.3, 0.3]


def test_what_ended_badly_has_the_worst_known_loss() -> None:
    records = [
        completed(0, POINT, 0.2),
        completed(1, POINT, 0.9),
        trial(2, TrialState.FAILED, {1: 0.1}),
        trial(3, TrialState.DIVERGED, {}),
        completed(4, POINT, math.nan),
    ]
    study = study_of(NUMBERS, directions=("maximize",))
    assert observe(History(study, records)).losses.tolist() == [-0.2, -0.9, -0.2, -0.2, -0.2]
    assert len(observe(History(study, records[2:])).points) == 0


def test_the_pareto_front_and_the_order_behind_it() -> None:
    losses = np.array([[1, 4], [2, 2], [4, 1], [3, 3], [5, 5], [np.inf, 0]], dtype=float)
    assert pareto_front(losses) == [0, 1, 2]
    assert ranked(losses[:5], 4)[3] == 3
    study = study_of(NUMBERS, directions=("minimize", "maximize"))
    records = [completed(0, POINT, 1.0, 2.0), completed(1, POINT, 3.0, math.nan)]
    assert observe_all(History(study, records))[1].tolist() == [[1.0, -2.0], [1.0, -2.0]]


def test_a_gaussian_process_goes_through_what_it_saw_and_is_unsure_elsewhere() -> None:
    rows = np.linspace(0, 1, 9)[:, None]
    process = fit(rows, np.sin(6 * rows[:, 0]), np.array([0]))
    mean, deviation = process.predict(np.array([[0.5], [0.56], [3.0]]))
    assert mean[:2] == pytest.approx(np.sin([3.0, 3.36]), abs=0.05)
    assert deviation[0] < 0.1 < deviation[2]
    assert process.with_believed(np.array([[3.0]])).predict(np.array([[3.0]]))[1][0] < 0.1


def test_losses_are_changed_by_the_most_likely_power() -> None:
    losses = np.random.default_rng(0).lognormal(size=40)
    above = (losses - losses.min()) / np.median(losses - losses.min()) + 0.05
    expected, exponent = boxcox(above)
    changed, jacobian = box_cox(losses)
    assert changed == pytest.approx((expected - expected.mean()) / expected.std(), abs=1e-4)
    unit = float(np.median(losses - losses.min()) * expected.std())
    assert jacobian == pytest.approx((exponent - 1) * np.log(above).sum() - 40 * np.log(unit), abs=1e-4)
    assert np.isfinite(box_cox(np.array([1e300, 1.0, 2.0, 1e-300]))[0]).all()
    assert np.isfinite(box_cox(np.ones(5))[0]).all()


def test_the_expected_improvement_is_exact_far_from_the_best() -> None:
    found = log_expected_improvement(np.array([0.0, -5.0, -40.0]))
    assert found == pytest.approx([math.log(1 / math.sqrt(2 * math.pi)), -16.74430, -808.29856], rel=1e-4)


def test_importance_is_that_of_the_parameter_that_matters_conditional_ones_too() -> None:
    def value(config: dict[str, Any]) -> tuple[float, ...]:
        return (math.log10(config["lr"]) ** 2 + 0.1 * config["optimizer"].get("momentum", 0),)

    study = study_of(CONDITIONAL)
    shares = importance(History(study, searched(sampler("random", study), value, 60)))
    assert next(iter(shares)) == "lr"
    assert shares["lr"] > 0.5
    assert set(shares) == {parameter.key for parameter in study.space.parameters}
    assert importance(History(study)) == {}


def test_each_objective_has_an_importance_of_its_own() -> None:
    study = study_of(NUMBERS, directions=("minimize", "maximize"))
    history = History(study, searched(sampler("random", study), lambda c: (c["x"], math.log(c["y"])), 40))
    assert [next(iter(importance(of_objective(history, index)))) for index in (0, 1)] == ["x", "y"]
    assert of_objective(history, 1).study.directions == ("maximize",)


def test_pathologies_are_told_with_a_remedy() -> None:
    study = study_of(NUMBERS)
    points = [{"x": n / 20, "y": 10 ** -(n / 10)} for n in range(20)]
    records = [completed(n, point, point["y"]) for n, point in enumerate([*points, points[0]])]
    records.append(TrialRecord(30, {"x": 0.0, "y": 0.5}, TrialState.DIVERGED))
    lines = search_warnings(History(study, records), {"OutOfMemoryError": 2})
    assert lines[0] == "1 of the trials repeat the parameters of another one"
    assert lines[1] == "2 failed with OutOfMemoryError"
    assert lines[2].startswith("1 diverged")
    study = study_of({"x": {"_uniform": [0, 1]}}, directions=("minimize", "maximize"))
    records = [completed(n, {"x": n / 200}, n / 200, n) for n in range(20)]  # all are of the front
    records += [completed(20 + n, {"x": 0.9 + n / 200}, 9.0, -9.0) for n in range(20)]
    assert search_warnings(History(study, records)) == []
    records = [completed(n, {"x": n / 200}, n / 200, -n) for n in range(20)]
    assert search_warnings(History(study, records)) == [
        "x: the best 3 trials are at the edge of its range, 0: widen it"
    ]
    study = study_of({"x": {"_uniform": [0, 1]}})
    records = [completed(n, {"x": n / 200}, n / 200) for n in range(20)]
    assert search_warnings(History(study, records)) == [
        "x: the best 3 trials are at the edge of its range, 0: widen it"
    ]

"""The contract of samplers, held to every algorithm."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mitorch_service.search.base import History, TrialRecord, TrialState, suggest
from mitorch_service.search.samplers.random import suggest as random_suggestion
from mitorch_service.search.samplers.registry import ALGORITHMS, sampler
from mitorch_service.search.samplers.unit_cube import UnitCube
from tests.unit.search.samples import CONDITIONAL, FINITE, NUMBERS, completed, searched, study_of

ANYWHERE = tuple(name for name in ALGORITHMS if name != "grid")
BY_NUMBER = ("random", "qmc")
LEARNING = ("auto", "tpe", "gp", "cmaes")
ALONE = ("tpe", "gp", "cmaes")  # `auto` is one of them


def bowl(config: dict[str, Any]) -> tuple[float, ...]:
    """0 at x 0.3, y 0.03."""
    return ((config["x"] - 0.3) ** 2 + (math.log10(config["y"]) + 1.5) ** 2 / 9,)


def anything(config: dict[str, Any]) -> tuple[float, ...]:
    """A value that depends on the parameter which each config has."""
    return (math.log10(config["lr"]) ** 2 + config["layers"],)


@pytest.mark.parametrize("name", ANYWHERE)
def test_conditional_points_are_of_the_space_and_follow_from_seed_and_history(name: str) -> None:
    study = study_of(CONDITIONAL)
    records = searched(sampler(name, study), anything, 20)
    for record in records:
        parameters = study.space.at(record.point)[1]
        assert study.space.point_of(parameters) == record.point
    again = suggest(sampler(name, study), History(study, records[:15]), 15)
    assert again == records[15].point
    assert {("optimizer.momentum" in record.point) for record in records} == {True, False}


@pytest.mark.parametrize("name", ANYWHERE)
def test_another_seed_gives_another_search(name: str) -> None:
    one, other = (searched(sampler(name, study_of(NUMBERS, seed)), bowl, 3) for seed in (1, 2))
    assert [r.point for r in one] != [r.point for r in other]


@pytest.mark.parametrize("name", ANYWHERE)
def test_parallel_suggestions_differ(name: str) -> None:
    study = study_of(NUMBERS)
    asked = sampler(name, study)
    history = History(study, searched(asked, bowl, 12))
    rows = UnitCube(study.space).rows(filter(None, (suggest(asked, history, number) for number in range(12, 20))))
    apart = [float(np.abs(one - other).max()) for one, other in combinations(rows, 2)]
    assert len(apart) == 28
    assert min(apart) > 0.02  # of the cube's edge


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_finite_space_is_tried_without_repeats_and_then_ends(name: str) -> None:
    study = study_of(FINITE)
    asked = sampler(name, study)
    records = searched(asked, lambda config: (float(config["b"]),), 50)
    assert len({repr(sorted(record.point.items())) for record in records}) == len(records) == 12
    assert suggest(asked, History(study, records), 12) is None


@pytest.mark.parametrize("name", BY_NUMBER)
def test_a_point_does_not_depend_on_what_others_gave(name: str) -> None:
    study = study_of(CONDITIONAL)
    records = searched(sampler(name, study), anything, 10)
    pending = History(study)
    assert [suggest(sampler(name, study), pending, number) for number in range(10)] == [r.point for r in records]


def test_random_search_gives_what_the_former_function_gave() -> None:
    study = study_of(CONDITIONAL, seed=7)
    for record in searched(sampler("random", study), anything, 5):
        assert study.space.at(record.point) == random_suggestion(study.space, 7, record.number)


@pytest.mark.parametrize("name", ALONE)
def test_what_was_learned_helps(name: str) -> None:
    trials = 40 if name == "tpe" else 26
    records = searched(sampler(name, study_of(NUMBERS, max_trials=trials)), bowl, trials)
    drawn = searched(sampler("random", study_of(NUMBERS, max_trials=40)), bowl, 40)
    late = sorted(record.values[0] for record in records[trials - 10 :])
    assert late[5] < sorted(record.values[0] for record in drawn)[20] / 2


@pytest.mark.parametrize("name", ANYWHERE)
def test_what_is_not_finite_or_failed_disables_nothing(name: str) -> None:
    study = study_of(NUMBERS, directions=("maximize",))
    asked = sampler(name, study)
    records = searched(asked, lambda config: (-bowl(config)[0] if config["x"] < 0.7 else math.nan,), 16)
    records[3] = TrialRecord(3, records[3].point, TrialState.FAILED)
    records[4] = TrialRecord(4, records[4].point, TrialState.DIVERGED)
    records[5] = completed(5, records[5].point, math.inf)
    assert suggest(asked, History(study, records), 16) is not None
    nothing = [TrialRecord(r.number, r.point, TrialState.FAILED) for r in records]
    assert suggest(asked, History(study, nothing), 16) is not None


@pytest.mark.parametrize("name", ALONE)
def test_the_best_is_found_where_much_is_not_finite(name: str) -> None:
    study = study_of(NUMBERS, max_trials=26)
    records = searched(sampler(name, study), lambda c: (bowl(c)[0] if c["x"] < 0.6 else math.nan,), 26)
    finite = [record.values[0] for record in records if math.isfinite(record.values[0])]
    assert len(finite) >= 12
    assert min(finite) < 0.01


@pytest.mark.parametrize("name", ["auto", "tpe", "nsga2"])
def test_several_objectives_are_searched_together(name: str) -> None:
    study = study_of(NUMBERS, directions=("minimize", "maximize"))
    records = searched(sampler(name, study), lambda c: (c["x"] ** 2 + c["y"], -((c["x"] - 1) ** 2) - c["y"]), 40)
    late = [record.point["y"] for record in records[25:]]
    assert sum(late) / len(late) < 0.2  # y is bad for both


@pytest.mark.parametrize("name", ["auto", "random"])
def test_enqueued_parameters_come_first_and_what_they_lack_is_drawn(name: str) -> None:
    whole = {"lr": 0.01, "optimizer": "adam", "optimizer.decay": 0.04, "layers": 3, "width": 64, "batch": 16}
    study = study_of(CONDITIONAL, enqueue=(whole, {"optimizer": "sgd", "lr": 0.5}))
    records = searched(sampler(name, study), anything, 3)
    assert study.space.at(records[0].point)[1] == whole
    parameters = study.space.at(records[1].point)[1]
    assert (parameters["optimizer"], parameters["lr"]) == ("sgd", 0.5)
    assert set(parameters) == {"lr", "optimizer", "optimizer.momentum", "optimizer.decay", "layers", "width", "batch"}


def test_earlier_trials_are_a_start() -> None:
    study = study_of(NUMBERS)
    earlier = [
        TrialRecord(number - 30, record.point, TrialState.COMPLETED, record.values)
        for number, record in enumerate(searched(sampler("random", study_of(NUMBERS, 9)), bowl, 30))
    ]
    point = suggest(sampler("auto", study), History(study, earlier), 0)
    assert point is not None
    assert bowl(study.space.at(point)[0])[0] < 0.05


def test_thousands_of_trials_are_taken() -> None:
    study = study_of(NUMBERS, max_trials=3000)
    drawn = sampler("random", study)
    history = History(study)
    points = [drawn.propose(history, number, 0) for number in range(2500)]
    records = [completed(n, point, *bowl(study.space.at(point)[0])) for n, point in enumerate(points)]
    for name in ("auto", "gp"):
        point = suggest(sampler(name, study), History(study, records), 2500)
        assert point is not None
        assert bowl(study.space.at(point)[0])[0] < 0.1


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("initial", [1, 7, 20])
def test_initial_trials_are_drawn_evenly_and_the_next_one_is_learned(name: str, initial: int) -> None:
    study = study_of(NUMBERS, initial_trials=initial)
    found = [record.point for record in searched(sampler(name, study), bowl, initial + 1)]
    even = [record.point for record in searched(sampler("qmc", study), bowl, initial + 1)]
    assert found[:initial] == even[:initial]
    assert found[initial] != even[initial]


def test_the_first_generation_of_cma_es_is_drawn_around_the_best_initial_trial() -> None:
    study = study_of(NUMBERS, initial_trials=20)
    records = searched(sampler("cmaes", study), bowl, 50)
    best = min(records[:20], key=lambda record: record.values[0])
    later = [float(record.point["x"]) for record in records[20:26]]
    assert abs(sum(later) / 6 - best.point["x"]) < 0.25
    assert min(record.values[0] for record in records[20:]) < best.values[0]

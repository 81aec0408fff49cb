"""The contract of samplers, held to every algorithm."""

from __future__ import annotations

import math
import random
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mitorch_service.search.base import History, TrialRecord, TrialState, suggest
from mitorch_service.search.samplers.pbt import explored
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


HUGE = (1.0, 0.5, 1e308, 2.0, -1.0, 1e155, 1e200, 0.3, 1.7e308, 3.0, 0.7, 1e308)


@pytest.mark.parametrize("objectives", [1, 3])
@pytest.mark.parametrize("name", ANYWHERE)
def test_a_huge_value_is_only_a_very_bad_one(name: str, objectives: int) -> None:
    if objectives > 1 and name in ("gp", "cmaes", "pbt"):
        return
    study = study_of(NUMBERS, directions=("minimize",) * objectives, initial_trials=4)
    drawn = searched(sampler("random", study), lambda config: (0.0,) * objectives, 36)
    records = [completed(n, r.point, *[HUGE[(n + k) % 12] for k in range(objectives)]) for n, r in enumerate(drawn)]
    with np.errstate(over="raise", invalid="raise"):
        assert suggest(sampler(name, study), History(study, records), 36) is not None
        worst = [completed(n, r.point, *[1.7e308 - n * 1e306] * objectives) for n, r in enumerate(drawn)]
        assert suggest(sampler(name, study), History(study, worst), 36) is not None


def test_huge_losses_keep_their_order() -> None:
    study = study_of(NUMBERS, directions=("maximize",))
    ordered = [1e308, 1e155, 1e51, 1e50, 1.0, -1e50, -1e60, -1.7e308]
    losses = [study.losses([value])[0] for value in ordered]
    assert losses == sorted(losses)
    assert len(set(losses)) == len(losses)
    assert math.isfinite(losses[-1] ** 5)


BRANCHES = {"o": {"_choice": [{"name": "a", "lr": {"_uniform": [0, 1]}}, {"name": "b", "lr": {"_uniform": [10, 11]}}]}}


def test_branches_that_share_a_name_inherit_only_what_is_theirs() -> None:
    """Otherwise a number of the other branch becomes an end of this one's range."""
    study = study_of(BRANCHES, directions=("minimize", "minimize"), max_trials=200)
    records = searched(sampler("nsga2", study), lambda config: (config["o"]["lr"] % 1, -(config["o"]["lr"] % 1)), 120)
    assert not [record.point for record in records if record.point["o.lr"] in (0, 1, 10, 11)]
    explorations = [explored(study, {"o": n % 2, "o.lr": 10 * (n % 2) + 0.5}, random.Random(n)) for n in range(200)]
    assert not [point for point in explorations if point["o"] == 0 and point["o.lr"] in (0, 1)]
    study = study_of(BRANCHES, enqueue=tuple({"o": "ab"[number % 2]} for number in range(40)))
    records = searched(sampler("random", study), lambda config: (0.0,), 40)
    assert not [record.point for record in records if record.point["o.lr"] in (0, 1, 10, 11)]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_finite_space_with_options_of_one_label_ends_after_its_points(name: str) -> None:
    study = study_of({"x": {"_choice": ["sgd", {"name": "sgd"}, 1, 1, True]}})
    asked, records = sampler(name, study), list[TrialRecord]()
    for number in range(8):
        point = suggest(asked, History(study, records), number)
        if point is None:
            break
        config, parameters = study.space.at(point)
        stored = study.space.point_of(parameters, options=study.space.options(point))
        assert stored is not None
        assert study.space.at(stored) == (config, parameters)
        records.append(completed(number, stored, float(number)))
    assert len(records) == 5


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

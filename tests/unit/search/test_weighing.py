"""The importance with its spread, in a process of its own, against Optuna's figures."""

from __future__ import annotations

import math
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from mitorch_service.search.analysis import weighing
from mitorch_service.search.analysis.importance import RESAMPLES, importance, importance_with_spread
from mitorch_service.search.analysis.weighing import weigh_apart
from mitorch_service.search.base import History, Study, TrialRecord, TrialState
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Point, parse_space

SPACE, _ = parse_space({"a": {"_uniform": [0, 1]}, "b": {"_uniform": [0, 1]}})


def history(trials: int) -> History:
    """The value is mostly that of `a`."""
    draw = np.random.default_rng(0)
    points = [{"a": float(a), "b": float(b)} for a, b in draw.random((trials, 2))]
    records = (
        TrialRecord(number, point, TrialState.COMPLETED, (point["a"] + 0.3 * point["b"],))
        for number, point in enumerate(points)
    )
    return History(Study(SPACE, 0, trials), records)


def test_resamples_surround_the_share_of_optuna() -> None:
    seen = history(40)
    shares, count = importance_with_spread(seen, 0.0)
    assert count == 3 <= RESAMPLES  # the least, without time for more
    assert list(shares) == ["a", "b"]
    for name, share in shares.items():
        assert share.low <= share.share <= share.high
        assert share.share == pytest.approx(importance(seen)[name], abs=0.15)
    assert importance_with_spread(history(3), 1.0) == ({}, 0)


def test_the_share_of_parameters_without_conditions_is_optunas() -> None:
    seen = history(30)
    study = optuna.create_study()
    uniform = FloatDistribution(0, 1)
    for record in seen.records:
        trial = create_trial(
            params=dict(record.point), distributions={"a": uniform, "b": uniform}, values=record.values
        )
        study.add_trial(trial)
    evaluator = FanovaImportanceEvaluator(n_trees=64, seed=0)
    assert importance(seen) == pytest.approx(get_param_importances(study, evaluator=evaluator))


def test_shares_add_up_to_one_with_conditional_parameters() -> None:
    branches = [{"name": "sgd", "lr": {"_loguniform": [1e-4, 1]}}, {"name": "adam", "decay": {"_uniform": [0, 1]}}]
    space, _ = parse_space({"by": {"_choice": branches}, "size": {"_int": [1, 9]}})
    draw = random.Random(0)

    def shares(value: Callable[[Point], float]) -> dict[str, float]:
        points = [space.point_from(lambda kind, _: _drawn(kind, draw)) for _ in range(60)]
        records = [TrialRecord(n, point, TrialState.COMPLETED, (value(point),)) for n, point in enumerate(points)]
        return importance(History(Study(space, 0, 60), records))

    within = shares(lambda point: math.log10(point.get("by.lr", 1e-2)))
    assert within["by.lr"] > 0.95
    between = shares(lambda point: 3 * point["by"] + math.log10(point.get("by.lr", 1e-2)))
    assert list(between)[:2] == ["by", "by.lr"]
    for found in (within, between):
        assert set(found) == {"by", "by.lr", "by.decay", "size"}
        assert sum(found.values()) == pytest.approx(1)


def _drawn(kind: Choice | Range, draw: random.Random) -> float:
    return draw.randrange(len(kind.options)) if isinstance(kind, Choice) else kind.from_unit(draw.random())


def test_nobody_who_waits_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: ended.set())
    reader, writer = os.pipe()
    thread = threading.Thread(target=weighing._end_with_caller, args=(reader,))
    thread.start()
    os.write(writer, b"left over")
    assert not ended.wait(0.02)
    os.close(writer)
    thread.join(5)
    os.close(reader)
    assert ended.is_set()


@pytest.mark.slow  # starts a process, which imports Optuna and scikit-learn
def test_the_process_ends_with_its_caller() -> None:
    command = [sys.executable, "-m", weighing.__name__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(([history(200)], 600.0)))
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.stdin.close()  # as the system does when the caller is killed
    assert process.wait(2) == 1


@pytest.mark.slow  # starts a process, which imports Optuna and scikit-learn
@pytest.mark.long
def test_a_process_of_its_own_gives_the_same() -> None:
    (shares,), count = weigh_apart([history(20)], 0.0)
    expected, _ = importance_with_spread(history(20), 0.0)
    assert count == 3
    assert shares == {name: (one.share, one.low, one.high) for name, one in expected.items()}

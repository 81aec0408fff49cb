"""The importance with its spread, in a process of its own, against Optuna's figures."""

from __future__ import annotations

import numpy as np
import pytest

from mitorch_service.search.analysis.importance import RESAMPLES, importance, importance_with_spread
from mitorch_service.search.analysis.weighing import weigh_apart
from mitorch_service.search.base import History, Study, TrialRecord, TrialState
from mitorch_service.search.space.space import parse_space

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


@pytest.mark.slow  # starts a process, which imports Optuna and scikit-learn
def test_a_process_of_its_own_gives_the_same() -> None:
    (shares,), count = weigh_apart([history(20)], 0.0)
    expected, _ = importance_with_spread(history(20), 0.0)
    assert count == 3
    assert shares == {name: (one.share, one.low, one.high) for name, one in expected.items()}

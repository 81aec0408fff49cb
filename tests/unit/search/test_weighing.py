"""The importance with its spread, in a process of its own, against Optuna's figures."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from mitorch_service.search.analysis import weighing
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
def test_a_process_of_its_own_gives_the_same() -> None:
    (shares,), count = weigh_apart([history(20)], 0.0)
    expected, _ = importance_with_spread(history(20), 0.0)
    assert count == 3
    assert shares == {name: (one.share, one.low, one.high) for name, one in expected.items()}

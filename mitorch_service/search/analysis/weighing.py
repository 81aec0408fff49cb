"""Computes the importance of parameters in a process of its own, so that a server keeps its memory and its threads.

``python -m mitorch_service.search.analysis.weighing`` reads the pickled histories, one for each objective, from its
standard input, and writes JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence

from mitorch_service.search.base import History

Shares = dict[str, tuple[float, float, float]]  # parameter -> share, lowest and highest
_NICE = 10
_LONGEST = 120.0  # seconds, beyond those that the resamples may take


def weigh_apart(histories: Sequence[History], seconds: float) -> tuple[list[Shares], int]:
    """Returns the shares for each objective, the highest first, and over how many resamples they were found. Raises
    RuntimeError with the end of its messages if the process fails or takes too long."""
    command = [sys.executable, "-m", "mitorch_service.search.analysis.weighing"]
    content = pickle.dumps(([_slim(history) for history in histories], seconds))
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=seconds * len(histories) + _LONGEST, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"the importance took longer than {error.timeout:g} s") from error
    if done.returncode:
        raise RuntimeError(f"the importance cannot be computed: {done.stderr.decode(errors='replace')[-2000:]}")
    shares, count = json.loads(done.stdout)
    return [{name: tuple(share) for name, share in one.items()} for one in shares], count


def _slim(history: History) -> History:
    return History(history.study, history.records)  # without what it remembers


def main() -> None:
    """Answers one request."""
    histories, seconds = pickle.load(sys.stdin.buffer)
    os.nice(_NICE)
    from mitorch_service.search.analysis.importance import importance_with_spread

    found, counts = [], [0]
    for history in histories:
        shares, count = importance_with_spread(history, seconds)
        found.append({name: (one.share, one.low, one.high) for name, one in shares.items()})
        counts.append(count)
    sys.stdout.write(json.dumps([found, max(counts)]))


if __name__ == "__main__":
    main()

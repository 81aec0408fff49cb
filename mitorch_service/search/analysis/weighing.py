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
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress

from mitorch_service.search.base import History

Shares = dict[str, tuple[float, float, float]]  # parameter -> share, lowest and highest
_NICE = 10
_LONGEST = 120.0  # seconds, beyond those that the resamples may take


def weigh_apart(histories: Sequence[History], seconds: float) -> tuple[list[Shares], int]:
    """Returns the shares for each objective, the highest first, and over how many resamples they were found. Raises
    RuntimeError with the end of its messages if the process fails or takes too long."""
    content = pickle.dumps(([_slim(history) for history in histories], seconds))
    code, answer, problem = _call(content, seconds * len(histories) + _LONGEST)
    if code:
        raise RuntimeError(f"the importance cannot be computed: {problem.decode(errors='replace')[-2000:]}")
    shares, count = json.loads(answer)
    return [{name: tuple(share) for name, share in one.items()} for one in shares], count


def _call(content: bytes, seconds: float) -> tuple[int, bytes, bytes]:
    """Runs the process; returns its exit code and what it wrote. Its standard input stays open until it has answered:
    it ends when this process does, however that ends."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", "mitorch_service.search.analysis.weighing"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=errors)
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:  # broken: it has ended already, and says why
            try:
                with suppress(BrokenPipeError):
                    process.stdin.write(content)
                    process.stdin.flush()
                code = process.wait(seconds)
            except subprocess.TimeoutExpired as error:
                raise RuntimeError(f"the importance took longer than {seconds:g} s") from error
            finally:
                process.kill()
                process.wait()
        for file in (output, errors):
            file.seek(0)
        return code, output.read(), errors.read()


def _slim(history: History) -> History:
    return History(history.study, history.records)  # without what it remembers


def main() -> None:
    """Answers one request."""
    histories, seconds = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the parent, by a pipe)
    threading.Thread(target=_end_with_caller, daemon=True).start()
    os.nice(_NICE)
    from mitorch_service.search.analysis.importance import importance_with_spread

    found, counts = [], [0]
    for history in histories:
        shares, count = importance_with_spread(history, seconds)
        found.append({name: (one.share, one.low, one.high) for name, one in shares.items()})
        counts.append(count)
    sys.stdout.write(json.dumps([found, max(counts)]))


def _end_with_caller(input: int = 0) -> None:
    """Ends this process as soon as nobody waits for its answer: its input ends."""
    while os.read(input, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

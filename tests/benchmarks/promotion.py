"""How many epochs a search by promotion runs until it sees the target on the recorded digits, 8 workers side by side.

``python -m tests.benchmarks.promotion [--algorithm random] [--seeds 20]`` prints a line of JSON for each factor, with
rungs from the first epoch and from the third on: medians, the worst, and how many seeds never got there.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics

from mitorch_service.search.base import History, Study, TrialRecord, TrialState, suggest
from mitorch_service.search.samplers.registry import sampler
from mitorch_service.search.space.space import parse_space
from mitorch_service.search.stopping.promotion import Ladder
from tests.benchmarks.search_functions import Digits

MOST_EPOCHS = 6000
WORKERS = 8


def epochs_to_target(algorithm: str, seed: int, factor: int, min_epochs: int) -> int:
    """Epochs run by all workers until one trial shows the target; MOST_EPOCHS if none does."""
    digits, clock = Digits(), random.Random(seed)
    study = Study(parse_space(digits.space)[0], seed, MOST_EPOCHS, ("maximize",))
    drawn, ladder = sampler(algorithm, study), Ladder(digits.max_epochs, min_epochs, factor)
    records: dict[int, TrialRecord] = {}
    curves: dict[int, list[float]] = {}
    done: dict[int, int] = {}
    running: list[tuple[float, int, int]] = []

    def begin(now: float) -> None:
        going_on = ladder.promote()
        number, goal = (len(records), ladder.goal()) if going_on is None else (going_on.number, going_on.epochs)
        if going_on is None:
            point = suggest(drawn, History(study, records.values()), number)
            assert point is not None
            records[number], done[number] = TrialRecord(number, point, TrialState.RUNNING), 0
            curves[number] = digits.accuracies(study.space.at(point)[0])
        heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, goal))

    for _ in range(WORKERS):
        begin(0.0)
    for spent in range(1, MOST_EPOCHS):
        now, number, goal = heapq.heappop(running)
        epochs, value = done[number] + 1, curves[number][done[number]]
        done[number] = epochs
        if value >= digits.target:
            return spent
        old = records[number]
        curve = {**old.curve, epochs: value} if epochs in ladder.rungs else old.curve
        if epochs < goal:
            records[number] = TrialRecord(number, old.point, TrialState.RUNNING, (), curve)
            heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, goal))
            continue
        whole = goal == digits.max_epochs
        state, values = (TrialState.COMPLETED, (value,)) if whole else (TrialState.PRUNED, ())
        records[number] = TrialRecord(number, old.point, state, values, curve)
        if not whole:
            ladder.pause(number, goal, -value)
        begin(now)
    return MOST_EPOCHS


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", default="random")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    for factor in (2, 3, 4):
        for min_epochs in (1, 3):
            found = [epochs_to_target(given.algorithm, seed, factor, min_epochs) for seed in range(given.seeds)]
            figures = {"median": statistics.median(found), "worst": max(found), "never": found.count(MOST_EPOCHS)}
            line = {"algorithm": given.algorithm, "factor": factor, "min_epochs": min_epochs, **figures}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

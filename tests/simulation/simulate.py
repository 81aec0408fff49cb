"""Runs many histories; shows of one that fails the shortest that it can find: see scripts/simulate."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.simulation.choices import Choices
from tests.simulation.histories import Histories
from tests.simulation.many_histories import SeedRange, eventful, run_many
from tests.simulation.mutants import MUTANTS, unchanged
from tests.simulation.shrinking import shrink


def main(arguments: list[str]) -> int:
    """Returns the exit status: 1 if a history failed, 130 if the run was interrupted."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one history, and show it")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many histories [default: 10000]")
    parser.add_argument("--first", type=int, default=0, help="the first seed [default: 0]")
    parser.add_argument("--processes", type=int, default=2, help="[default: 2]")
    parser.add_argument("--minutes", type=float, help="end after so many minutes")
    parser.add_argument("--progress", type=Path, metavar="FILE", help="continue there, and note there what is done")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="take a guard away, to see that this is noticed")
    parser.add_argument("--whole", action="store_true", help="with --seed: show the whole history, not a short one")
    parser.add_argument("--sqlite", action="store_true", help="with --seed: in SQLite, in place of the memory")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _show(options.seed, options.mutant, options.whole, options.sqlite)
    seeds = SeedRange(options.first, options.seeds, options.mutant)
    return run_many(seeds, options.processes, options.minutes, options.progress)


def _show(seed: int, mutant: str | None, whole: bool, in_sqlite: bool) -> int:
    histories, change = Histories(in_sqlite), MUTANTS[mutant].change if mutant else unchanged
    outcome = histories.run(Choices(seed), change, tracing=whole)
    if outcome.violation is not None and not whole:
        short = shrink(histories, outcome, change)
        outcome = histories.run(Choices(None, short), change, tracing=True)
    print("\n".join(eventful(outcome.lines)))
    print(f"seed {seed}: {outcome.violation or 'nothing is wrong'}")
    return int(outcome.violation is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Kills and stops the processes of a service at random, and checks that nothing is lost or done twice: see
scripts/chaos and docs/chaos.md."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.rehearsal import Rehearsal


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options. Raises SystemExit for wrong ones."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "mongo"), default="sqlite", help="[default: sqlite]")
    parser.add_argument("--minutes", type=float, default=5.0, help="of trouble; what is open then ends [default: 5]")
    parser.add_argument("--trainings", type=int, default=200, help="at least; more while time is left [default: 200]")
    parser.add_argument("--controllers", type=int, default=3, help="[default: 3]")
    parser.add_argument("--seed", type=int, help="of the trouble [default: drawn, and told]")
    parser.add_argument("--keep", action="store_true", help="keep the folder, which is kept anyway if something fails")
    return parser.parse_args(arguments)


def main(options: argparse.Namespace) -> int:
    """Returns the exit status: 1 if something does not hold."""
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {seed}, store {options.store}, folder {folder}", flush=True)
    rehearsal = Rehearsal(folder, options.store, seed, options.trainings, options.controllers)
    found = rehearsal.run(60 * options.minutes)
    print("\n".join(rehearsal.report()))
    for text in found:
        print(f"FAILED: {text}")
    if found or options.keep:
        print(f"seed {seed}: {len(found)} violations; everything is in {folder}")
    else:
        shutil.rmtree(folder)
        print(f"seed {seed}: nothing is wrong")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))

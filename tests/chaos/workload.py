"""The trainings and searches that are submitted, by their numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.engine_work import engine_config
from tests.chaos.program.fit import NOTES

# engine: the product's own, and no script; plain: without checkpoints; fails: its first attempt; hopeless: each one;
# leaves: a daemon
KINDS = ("engine", "plain", "resumes", "fails", "resumes", "leaves", "resumes", "plain", "resumes", "hopeless")
_MANY = 100  # trainings, from which all three searches run
_CANCELED = 19  # every so many trainings one is canceled later


def items(program: Path, notes: Path, trainings: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields names and configs without an end: the first training, which the engine takes long to start; the searches;
    more trainings."""
    singles = _trainings(program, notes, seed)
    yield next(singles)
    trials = max(4, min(10, trainings // 10))
    for name, search in _searches(trainings, trials, seed).items():
        parameters = {"kind": "resumes", "x": {"_uniform": [0.0, 1.0]}, "epochs": 4, "seconds": 0.2}
        yield name, {"job_type": "search", "config": _config(program, notes, parameters), "search": search}
    yield from singles


def _trainings(program: Path, notes: Path, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    draw, number = random.Random(seed), 0
    while True:
        parameters = {
            "kind": KINDS[number % len(KINDS)],
            "x": round(draw.random(), 6),
            "epochs": draw.randint(1, 5),
            "seconds": round(draw.choice((0.02, 0.2, 0.6)), 2),
        }
        name = f"training-{number}"
        yield name, engine_config(number // len(KINDS)) if is_engine(name) else _config(program, notes, parameters)
        number += 1


def is_canceled(name: str) -> bool:
    """Whether the training is canceled some time after its submission."""
    kind, _, number = name.rpartition("-")
    return kind == "training" and int(number) % _CANCELED == _CANCELED - 1


def is_engine(name: str) -> bool:
    """Whether the product's own engine trains it."""
    kind, _, number = name.rpartition("-")
    return kind == "training" and KINDS[int(number) % len(KINDS)] == "engine"


def _searches(trainings: int, trials: int, seed: int) -> dict[str, dict[str, Any]]:
    asha = {"rule": "asha", "min_epochs": 1, "factor": 2}
    common = {"algorithm": "random", "max_trials": trials, "seed": seed}
    found = {
        "search-plain": common,
        "search-promotion": {**common, "early_stopping": asha, "resume_promoted": True},
        "search-stopping": {**common, "early_stopping": asha},
    }
    if trainings < _MANY:
        del found["search-promotion" if seed % 2 else "search-stopping"]
    return found


def _config(program: Path, notes: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "script": {"command": "python fit.py", "source": str(program), "env": {NOTES: str(notes)}},
        "parameters": dict(parameters),
        "max_epochs": parameters["epochs"],
        "max_retries": 1,
    }

"""Measures the cost of a controller's pass for one search with many finished trials.

    python -m tests.benchmarks.search_pass [--trials 100 1000 10000] [--algorithm auto tpe cmaes random]
        [--objectives 2]

Prints one JSON object a line: seconds of a pass that finds eight trials ended and creates eight, on SQLite; `finite`:
the same in a space of a million points, of which none is to come twice; and, as the floor, the reading alone. With two
objectives also the longest telling of the Pareto front, of 1,000 trials that ended since.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.observe.history import read_history
from mitorch_service.controller.observe.pareto_front import read_merge, store_merge
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import Trial
from mitorch_service.search.samplers.random import random_point
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.fakes import FakeBackend, primitives
from tests.job_states import a_study
from tests.samples import CONFIG, NOW, a_job, a_training

OPEN = 8
SPACES: dict[str, dict[str, Any]] = {
    "infinite": {
        **CONFIG,
        "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-5, 1]}},
        "optimizer": {"_choice": [{"name": "adamw"}, {"name": "sgd", "momentum": {"_uniform": [0.5, 0.99]}}]},
        "batch_size": {"_logint": [8, 512]},
    },
    "finite": {**CONFIG, "seed": {"_int": [1, 100_000]}, "batch_size": {"_int": [1, 10]}},
}


def searched(store: Store, algorithm: str, config: dict[str, Any], trials: int, objectives: int) -> Job:
    """A job with so many completed trials, and as many more to come."""
    names = [f"{number}_loss" for number in range(objectives)]
    search = SearchConfig.model_validate(
        {
            "algorithm": algorithm,
            "objective": names,
            "max_trials": trials + 100,
            "max_concurrent": OPEN,
            "seed": 0,
        }
    )
    job, (space, _), noise = a_job(config=config, search=search), parse_space(config), random.Random(0)
    store.jobs.add_job(job)
    documents = []
    for number in range(trials):
        whole, parameters = space.at(random_point(space, f"0/{number}"))
        trial = Trial(number=number, parameters=parameters, objective=names[0], direction="minimize")
        values = [noise.random() for _ in names]
        measured: dict[str, Any] = {"values": values, "unmerged": job.id} if objectives > 1 else {"value": values[0]}
        trial = trial.model_copy(update=measured)
        training = a_training(job_id=job.id, trial=trial, config=whole, arrival=job.arrival + number)
        documents.append({**training.to_document(), "status": "completed"})
    primitives(store).insert("trainings", documents)
    return job


def main() -> None:
    """Reads the arguments and prints the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--algorithm", nargs="+", default=["auto", "tpe", "cmaes", "random"])
    parser.add_argument("--objectives", type=int, default=1)
    given = parser.parse_args()
    for trials in given.trials:
        for algorithm in given.algorithm:
            for kind, config in SPACES.items():
                with tempfile.TemporaryDirectory() as folder:
                    store = SqliteStore(Path(folder, "test.db"))
                    figures = measured(store, algorithm, config, trials, given.objectives)
                print(json.dumps({"algorithm": algorithm, "space": kind, "finished": trials, **figures}), flush=True)


def measured(
    store: Store, algorithm: str, config: dict[str, Any], trials: int, objectives: int = 1
) -> dict[str, float]:
    """Seconds of reading, of the first pass of a process, and of a pass of another search in the same process."""
    controller = Controller(store, {"fake": FakeBackend(slots=2 * OPEN)})
    first = searched(store, algorithm, config, 50, objectives)
    controller.tick(NOW)  # imports
    store.jobs.finish_job(first.id, JobStatus.COMPLETED, NOW, None, {}, None)
    job = searched(store, algorithm, config, trials, objectives)
    telling = tell(store, job)
    space = a_study(job).space
    begin = time.perf_counter()
    read_history(store, store.jobs.get_job(job.id), space, trials - 1)
    read = time.perf_counter()
    controller.tick(NOW)
    end = time.perf_counter()
    created = store.jobs.last_trial_number(job.id, job.arrival)
    assert created == trials + OPEN - 1, created
    store.close()
    return {"reading": round(read - begin, 3), "pass": round(end - read, 3)} | telling


def tell(store: Store, job: Job) -> dict[str, float]:
    """The seconds of the longest; nothing for one objective."""
    seconds = []
    begin = time.perf_counter()
    while (merge := read_merge(store, store.jobs.get_job(job.id))) is not None:
        store_merge(store, merge)
        seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
    return {"telling": round(max(seconds), 3), "front": len(store.jobs.get_job(job.id).front or [])} if seconds else {}


if __name__ == "__main__":
    main()

"""A search with early stopping through the commands, with real trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING

RATES = [1e-3, 3e-3, 1e-9]
SEARCH: dict[str, Any] = {
    "job_type": "search",
    "dataset": "digits",
    "config": {**TINY_TRAINING, "max_epochs": 3, "lr_scheduler": {"name": "cosine", "base_lr": {"_choice": RATES}}},
    "search": {
        "objective": "val_loss",
        "max_trials": 9,
        "max_concurrent": 1,
        "early_stopping": {"rule": "asha", "factor": 2, "min_epochs": 1},
        "enqueue": [{"lr_scheduler.base_lr": 3e-3}, {"lr_scheduler.base_lr": 1e-9}],
        "seed": 0,
    },
}


def test_a_search_stops_what_is_worse_and_keeps_the_winner(machine: Machine) -> None:
    job = machine.ok("submit", machine.write("search.json", SEARCH))
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(job)
    assert document["status"] == "completed"
    assert sum(document["counts"].values()) == 3  # every point of the space once, though nine were asked for
    assert document["best"]["parameters"] == {"lr_scheduler.base_lr": 3e-3}
    assert Path(document["artifacts"]["model"]).stat().st_size > 100_000

    rows = machine.run("query", "--job", job, "--json").json["trainings"]
    hopeless = next(row for row in rows if row["trial"]["parameters"] == {"lr_scheduler.base_lr": 1e-9})
    assert hopeless["status"] == "pruned"
    trial = machine.query(hopeless["_id"])
    assert [result["epoch"] for result in trial["curve"]] == [1]
    assert trial["trial"]["curve"] == {"1": trial["curve"][0]["val_loss"]}
    assert Path(trial["artifacts"]["model"]).stat().st_size > 100_000
    assert trial["attempts"][0]["reason"] == "stopped early after epoch 1: 1 of 1 others did better"

    shown = machine.ok("query", job)
    assert "without early stopping" in shown
    assert "all 3 points of the space are tried" in shown

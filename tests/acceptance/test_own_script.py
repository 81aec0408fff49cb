"""Programs of the user's own, by the real commands: the example in scripts/samples/, a search, and an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Machine, until

ROOT = Path(__file__).parents[2]
INTERRUPTED = """
import time
import mitorch_service as m
earlier = m.last_checkpoint()
first = 1 if earlier is None else 2
for epoch in range(first, 3):
    m.report(epoch=epoch, train_loss=1 / epoch)
    open("state", "w").close()
    m.checkpoint("state")
    if earlier is None:
        print("waits", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def example(bare_machine: Machine) -> Machine:
    """A machine with a copy of the example, as scripts/samples/ has it."""
    for path in (ROOT / "scripts" / "samples").glob("own_script*"):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, bare_machine.folder / path.name)
    return bare_machine


def test_the_example_runs_by_hand_and_under_the_queue(example: Machine) -> None:
    code = example.folder / "own_script" / "fit.py"
    training = example.ok("submit", "own_script.json")
    by_hand = [sys.executable, str(code), "--epochs", "2"]
    out = subprocess.run(by_hand, cwd=example.folder, check=True, capture_output=True, text=True).stdout
    assert out.splitlines()[-1].startswith("epoch 2: loss")
    code.write_text("raise SystemExit('this is not what was submitted')")
    example.ok("control", "run", "--until-idle", "--every", "0.3")
    done = example.query(training)
    assert done["status"] == "completed", done["error"]
    assert done["evaluation"]["val_loss"] < done["curve"][0]["val_loss"]
    assert [row["epoch"] for row in done["curve"]] == list(range(1, 21))
    assert {"log", "environment", "checkpoint"} == done["artifacts"].keys()
    shown = example.ok("query", training)
    assert "python fit.py '{parameters}'" in shown
    assert "Python 3." in shown


@pytest.mark.long
def test_a_search_over_the_parameters_of_a_script(example: Machine) -> None:
    job = example.ok("submit", "own_script_search.json")
    example.ok("control", "run", "--until-idle", "--every", "0.3")
    done = example.query(job)
    assert (done["status"], done["counts"]) == ("completed", {"completed": 4})
    best = done["leaderboard"][0]["trial"]
    assert best["value"] == min(row["trial"]["value"] for row in done["leaderboard"])
    assert set(best["parameters"]) == {"parameters.lr"}
    assert len(list((example.home / "artifacts" / "code").iterdir())) == 1
    assert "parameters.lr" in example.ok("query", job).lower()


def test_a_search_over_a_script_stops_trials_early(example: Machine) -> None:
    job = example.ok("submit", "own_script_asha.json")
    example.ok("control", "run", "--until-idle", "--every", "0.3")
    done = example.query(job)
    assert done["status"] == "completed"
    assert sum(done["counts"].values()) == 6
    assert set(done["counts"]) == {"completed", "pruned"}


def test_a_script_whose_run_is_killed_goes_on_from_its_checkpoint(bare_machine: Machine) -> None:
    bare_machine.write("train.py", INTERRUPTED)
    bare_machine.write("script.json", {"script": {"command": "python train.py", "source": "train.py"}})
    training = bare_machine.ok("submit", "script.json")
    bare_machine.ok("control")
    process = bare_machine.run_process(training)
    log = bare_machine.home / "runs" / f"mt-{training}-a1" / "log.txt"
    until(lambda: "waits" in log.read_text(), "the script waits")
    os.kill(process, signal.SIGKILL)
    bare_machine.ok("control", "run", "--until-idle", "--every", "0.3")
    done = bare_machine.query(training)
    assert (done["status"], [attempt["outcome"] for attempt in done["attempts"]]) == (
        "completed",
        ["lost", "completed"],
    )
    assert [row["epoch"] for row in done["curve"]] == [1, 2]


def test_a_script_that_waits_is_canceled(bare_machine: Machine) -> None:
    bare_machine.write("train.py", INTERRUPTED)
    bare_machine.write("script.json", {"script": {"command": "python train.py", "source": "train.py"}})
    training = bare_machine.ok("submit", "script.json")
    bare_machine.ok("control")
    log = bare_machine.home / "runs" / f"mt-{training}-a1" / "log.txt"
    until(lambda: log.exists() and "waits" in log.read_text(), "the script waits")
    bare_machine.ok("control", "cancel", training)
    bare_machine.ok("control", "run", "--until-idle", "--every", "0.3")
    assert bare_machine.query(training)["status"] == "canceled"


def test_credentials_of_a_script_are_not_shown(bare_machine: Machine) -> None:
    script = {"command": "python train.py", "env": {"HUB_TOKEN": "hush-hush", "CITY": "Berne"}}
    bare_machine.write("script.json", {"script": script})
    search = {"script": script, "parameters": {"lr": {"_uniform": [0, 1]}}}
    bare_machine.write("job.json", {"job_type": "search", "config": search, "search": {"max_trials": 1}})
    for name in ("script.json", "job.json"):
        id = bare_machine.ok("submit", name)
        shown = [bare_machine.ok("query", id), bare_machine.ok("query", id, "--json")]
        shown.append(bare_machine.ok("submit", name, "--explain"))
        assert "hush" not in "".join(shown)
        assert all("Berne" in text for text in shown[:2])


def test_many_scripts_share_their_code(example: Machine) -> None:
    config = json.loads((example.folder / "own_script.json").read_text())
    lines = [json.dumps({**config, "parameters": {"lr": 0.1, "epochs": epochs}}) for epochs in range(1, 31)]
    example.write("many.jsonl", "\n".join(lines))
    assert "30 queued" in example.ok("submit", "--many", "many.jsonl")
    assert len(list((example.home / "artifacts" / "code").iterdir())) == 1


def test_paths_of_many_scripts_are_relative_to_their_files(bare_machine: Machine) -> None:
    config = {"script": {"command": "python train.py", "source": "train.py"}}
    for name in ("a", "b/deep"):
        (bare_machine.folder / "configs" / name).mkdir(parents=True)
        bare_machine.write(f"configs/{name}/train.py", f"print({name!r})")
        bare_machine.write(f"configs/{name}/script.json", config)
    bare_machine.write("configs/a/many.jsonl", json.dumps(config))
    assert "2 queued" in bare_machine.ok("submit", "--many", "configs")
    assert len(list((bare_machine.home / "artifacts" / "code").iterdir())) == 2
    assert "1 queued" in bare_machine.ok("submit", "--many", "configs/a/many.jsonl")
    assert len(list((bare_machine.home / "artifacts" / "code").iterdir())) == 2


def test_what_is_not_stored_is_told(bare_machine: Machine) -> None:
    bare_machine.write("train.py", "print('x')")
    bare_machine.write(".env", "MITORCH_SHARED_GROUP=")
    bare_machine.write("script.json", {"script": {"command": "python train.py", "source": "."}})
    for arguments in (["--explain"], []):
        answer = bare_machine.run("submit", "script.json", *arguments)
        assert answer.code == 0, answer
        assert "Warning: .: not stored with the code, as they hold credentials: .env" in answer.err
    assert "left out" in bare_machine.ok("query", answer.out.strip())


def test_code_that_is_older_than_its_source_is_told(bare_machine: Machine) -> None:
    def retry(*ids: str) -> str:
        bare_machine.ok("control", "cancel", *ids)
        answer = bare_machine.run("control", "retry", *ids)
        assert answer.code == 0, answer
        return answer.err

    for name in ("a", "b"):
        (bare_machine.folder / name).mkdir()
        bare_machine.write(f"{name}/train.py", "print('x')")
        bare_machine.write(f"{name}.json", {"script": {"command": "python train.py", "source": name}})
    trainings = [bare_machine.ok("submit", f"{name}.json").strip() for name in ("a", "a", "b")]
    assert "has changed" not in retry(*trainings)
    bare_machine.write("a/train.py", "print('y')")
    told = retry(*trainings)
    assert told.count("has changed") == 1
    assert f"2 of them run the code as it was submitted, but {bare_machine.folder / 'a'} has changed since" in told
    shutil.rmtree(bare_machine.folder / "a")
    assert "has changed" not in retry(*trainings)


def test_a_search_whose_code_is_older_is_told(bare_machine: Machine) -> None:
    bare_machine.write("train.py", "print('x')")
    config = {"script": {"command": "python train.py", "source": "train.py"}, "parameters": {"a": {"_int": [1, 2]}}}
    bare_machine.write("job.json", {"job_type": "search", "config": config, "search": {"max_trials": 1}})
    job = bare_machine.ok("submit", "job.json").strip()
    bare_machine.write("train.py", "print('y')")
    answer = bare_machine.run("control", "retry", job)
    assert "it runs the code as it was submitted" in answer.err, answer

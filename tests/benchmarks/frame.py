"""Measures the overhead beside a training: starting a command, and from `misubmit` to the first recorded epoch.

    python -m tests.benchmarks.frame [--repeats 5]

Prints one JSON object a line: name, value (median), unit, and where there is one the floor that was measured in the
same run, in turns with it, and the ratio to it. Byte code is compiled first; unset PYTHONDONTWRITEBYTECODE.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.write_digits import write_digits
from tests.benchmarks.measuring import BARE_CLICK, clean_environment, report, seconds_of

HEAVY = ("torch", "torchvision", "timm", "torchmetrics", "mitorch_service.training.loop.engine")
MAIN = [sys.executable, "-m", "mitorch_service.cli.main"]


def start_up(repeats: int, environment: dict[str, str]) -> None:
    """Whole processes; the floor is a click program that only prints its help."""
    scripts = Path(sys.executable).parent
    commands = {
        "misubmit --help": [str(scripts / "misubmit"), "--help"],
        "miquery --help": [str(scripts / "miquery"), "--help"],
        "micontrol --help": [str(scripts / "micontrol"), "--help"],
        "miquery (empty SQLite database)": [str(scripts / "miquery")],
    }
    floor = [sys.executable, "-c", BARE_CLICK, "--help"]
    times: dict[str, list[float]] = {name: [] for name in (*commands, "floor")}
    for _ in range(repeats + 1):
        for name, command in {**commands, "floor": floor}.items():
            times[name].append(seconds_of(command, environment))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first one warms the disk
    for name in commands:
        report(name, medians[name], "s", medians["floor"])


def imports(repeats: int, environment: dict[str, str]) -> None:
    """Seconds that each import adds to a training's process, in the order of the engine's own imports."""
    code = (
        "import importlib, json, time\n"
        "times, last = {}, time.perf_counter()\n"
        f"for name in {HEAVY!r}:\n"
        "    importlib.import_module(name); now = time.perf_counter(); times[name] = now - last; last = now\n"
        "print(json.dumps(times))"
    )
    engine = (
        "import time; t = time.perf_counter(); import mitorch_service.training.loop.engine; "
        "print(time.perf_counter() - t)"
    )
    whole, each = [], []
    for _ in range(repeats):
        answer = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
        each.append(json.loads(answer.stdout))
        answer = subprocess.run([sys.executable, "-c", engine], env=environment, check=True, capture_output=True)
        whole.append(float(answer.stdout))
    for name in HEAVY[:-1]:
        report(f"import {name} (whole package, after those above)", statistics.median(t[name] for t in each), "s")
    report("import of the engine (what a training imports)", statistics.median(whole), "s", each[0]["torch"])


def first_epoch(repeats: int, folder: Path, environment: dict[str, str]) -> None:
    """From `misubmit` to the first epoch that a reader of the database sees, cut into its parts."""
    home = Path(environment["MITORCH_HOME"])
    definition = write_digits(folder / "digits")
    subprocess.run([*MAIN, "dataset", "register", str(definition)], env=environment, check=True, capture_output=True)
    config = Path(__file__).parents[2] / "scripts" / "samples" / "quickstart_training.json"
    parts: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, value in one_training(home, config, environment).items():
            parts.setdefault(name, []).append(value)
    for name, values in parts.items():
        report(name, statistics.median(values), "s")


def one_training(home: Path, config: Path, environment: dict[str, str]) -> dict[str, float]:
    """Runs one training alone on the machine; returns its parts in seconds."""
    begin = time.time()
    answer = subprocess.run([*MAIN, "submit", str(config)], env=environment, check=True, capture_output=True, text=True)
    training = answer.stdout.strip()
    submitted = time.time()
    subprocess.run([*MAIN, "control"], env=environment, check=True, capture_output=True)
    launched = time.time()
    document = wait_for_epoch(training, environment)
    seen = time.time()
    subprocess.run([*MAIN, "control", "run", "--until-idle"], env=environment, check=True, capture_output=True)
    run = home / "runs" / f"mt-{training}-a1"
    process = (run / "started").stat().st_mtime  # made by the supervisor just before; a process's own start is rounded
    started = datetime.fromisoformat(document["attempts"][0]["started_at"]).timestamp()
    log = (run / "log.txt").read_text().splitlines()
    first_step = log_time(next(line for line in log if "training on" in line))
    finished = datetime.fromisoformat(document["curve"][0]["finished_at"]).timestamp()
    return {
        "misubmit": submitted - begin,
        "micontrol, one pass that launches it": launched - submitted,
        "training: process start to `running`": started - process,
        "training: `running` to its first step (imports, data, model)": first_step - started,
        "training: process start to first step": first_step - process,
        "training: first epoch": finished - first_step,
        "first epoch's end until a reader has seen it (polled every 0.1 s)": seen - finished,
        "misubmit to the first recorded epoch": finished - begin,
    }


def log_time(line: str) -> float:
    """The seconds since 1970 of a line of the run's log."""
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def wait_for_epoch(training: str, environment: dict[str, str]) -> dict[str, Any]:
    """The training's document once it has an epoch."""
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    store = open_store(read_settings(environment), create=True)
    while not store.runs.curve(training).items:
        time.sleep(0.1)
    answer = subprocess.run([*MAIN, "query", training, "--json"], env=environment, check=True, capture_output=True)
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        environment = {**clean_environment(), "MITORCH_HOME": str(Path(folder, "home"))}
        start_up(repeats, environment)
        imports(repeats, environment)
        first_epoch(repeats, Path(folder), environment)


if __name__ == "__main__":
    main()

"""Measures an import of many runs: `mitorch import mlflow`, killed half-way and repeated, then once more.

    python -m tests.benchmarks.importing --runs 10000 [--points 1000] [--keep DIR]

Writes the runs as the file store of MLflow has them. Prints a JSON object for each of the three imports: seconds,
processor seconds, peak memory, trainings in the database afterwards; then the number of runs and the lengths of curves.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.benchmarks.measuring import clean_environment

_START = 1_790_000_000_000  # ms
_LOOK_SECONDS = 0.5
_EXPERIMENT = """artifact_location: file://{folder}
creation_time: {start}
experiment_id: '1'
last_update_time: {start}
lifecycle_stage: active
name: many
"""
_RUN = """artifact_uri: file://{folder}/artifacts
end_time: {end}
entry_point_name: ''
experiment_id: '1'
lifecycle_stage: active
run_id: {id}
run_name: run-{number}
run_uuid: {id}
source_name: ''
source_type: 4
source_version: ''
start_time: {begin}
status: 3
tags: []
user_id: ada
"""


def write_runs(folder: Path, runs: int, points: int) -> None:
    """Writes an experiment of finished runs, each with a loss of so many points, two parameters and a tag."""
    draw = random.Random(0)
    experiment = folder / "1"
    experiment.mkdir(parents=True)
    (experiment / "meta.yaml").write_text(_EXPERIMENT.format(folder=experiment, start=_START))
    for number in range(runs):
        id, begin = f"{draw.getrandbits(128):032x}", _START + 60_000 * number
        run = experiment / id
        for part in ("metrics", "params", "tags", "artifacts"):
            (run / part).mkdir(parents=True)
        meta = _RUN.format(folder=run, end=begin + 50_000, id=id, number=number, begin=begin)
        (run / "meta.yaml").write_text(meta)
        (run / "params" / "lr").write_text(str(10 ** draw.uniform(-4, -1)))
        (run / "params" / "model").write_text(draw.choice(["resnet18", "resnet50"]))
        (run / "tags" / "team").write_text("vision")
        best = draw.uniform(0.05, 0.3)
        lines = (
            f"{begin + 50 * step} {best + 2 * math.exp(-step / 200) + draw.gauss(0, 0.01)} {step}\n"
            for step in range(1, points + 1)
        )
        (run / "metrics" / "loss").write_text("".join(lines))


def import_once(source: Path, home: Path, kill_at: int | None = None) -> None:
    """Imports, until so many are there; prints what it took."""
    environment = {**clean_environment(), "MITORCH_HOME": str(home)}
    command = [sys.executable, "-m", "mitorch_service.cli.main", "import", "mlflow", str(source), "--json"]
    begin, kilobytes, processor = time.monotonic(), 0, 0.0
    output = home / "output.json"
    with output.open("w") as out, (home / "errors.txt").open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=errors)
        while process.poll() is None:
            kilobytes, processor = _taken(process.pid) or (kilobytes, processor)
            if kill_at is not None and _count(home) >= kill_at:
                process.send_signal(signal.SIGKILL)
            time.sleep(_LOOK_SECONDS)
    answer = {} if kill_at is not None else json.loads(output.read_text())
    figures = {
        "killed": kill_at is not None,
        "seconds": round(time.monotonic() - begin, 1),
        "processor": round(processor, 1),
        "MB": round(kilobytes / 1024, 1),
        "imported": len(answer.get("imported", [])),
        "present": answer.get("present"),
        "trainings": _count(home),
        "load": os.getloadavg(),
    }
    print(json.dumps(figures), flush=True)


def _taken(process: int) -> tuple[int, float] | None:
    """The peak memory of a process in kB and its processor seconds; None when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    peak = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    ticks = int(fields[11]) + int(fields[12])
    return (peak[0], ticks / os.sysconf("SC_CLK_TCK")) if peak else None


def _count(home: Path) -> int:
    file = home / "mitorch.db"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM trainings").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


def curves(home: Path) -> dict[str, int]:
    """The number of distinct runs in the database, and of the epochs of the shortest and of the longest curve."""
    with closing(sqlite3.connect(home / "mitorch.db")) as db:
        runs = db.execute("SELECT count(DISTINCT json_extract(body, '$.imported_from.run')) FROM trainings").fetchone()
        lengths = "SELECT count(*) AS n FROM training_results GROUP BY substr(_id, 1, 36)"
        least, most = db.execute(f"SELECT min(n), max(n) FROM ({lengths})").fetchone()
    return {"runs": runs[0], "least epochs": least, "most epochs": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1000, help="of the curve of each")
    parser.add_argument("--keep", metavar="DIR", help="keep the runs, in this folder, for the next")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mitorch-benchmark-") as temporary:
        source, home = Path(given.keep or temporary, f"mlruns-{given.runs}-{given.points}"), Path(temporary, "home")
        home.mkdir()
        if not source.exists():
            part = source.with_suffix(".part")
            write_runs(part, given.runs, given.points)
            part.rename(source)
        for kill_at in (given.runs // 2, None, None):
            import_once(source, home, kill_at)
        print(json.dumps(curves(home)))


if __name__ == "__main__":
    main()

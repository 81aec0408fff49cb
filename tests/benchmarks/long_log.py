"""Measures the memory of the run of a script that writes a long log.

    python -m tests.benchmarks.long_log [--megabytes 400]

Runs three scripts as a backend does: one that writes nothing, one that writes that much in lines of 200 bytes, and one
that writes it in a single line. Prints the largest memory of the run, the whole start of Python included, and the size
of the log that is kept, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import a_training, an_attempt

SCRIPTS = {
    "nothing": "",
    "lines of 200 bytes": "for _ in range(N * 5000): sys.stdout.write('x' * 199 + '\\n')",
    "one line": "for _ in range(N): sys.stdout.write('x' * 1_000_000)",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=400)
    megabytes = parser.parse_args().megabytes
    for name, code in SCRIPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            peak, kept = run(Path(folder), "import sys\n" + code.replace("N", str(megabytes)))
        values = {
            "script": name,
            "megabytes": megabytes,
            "run_mb": round(peak / 1e6, 1),
            "log_mb": round(kept / 1e6, 1),
        }
        print(json.dumps({"name": "long log", **values}), flush=True)


def run(home: Path, code: str) -> tuple[int, int]:
    """The memory of the run and the size of its log, in bytes."""
    store = SqliteStore(home / "mitorch.db")
    config = {"script": {"command": ["python", "-c", code]}}
    training = a_training(config=config, dataset=NO_DATASET, max_epochs=0)
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    command = [sys.executable, "-m", "mitorch_service.cli.main", "run", training.id, "--attempt", "1"]
    environment = {**os.environ, "MITORCH_HOME": str(home), "MITORCH_DB_URI": "", "MITORCH_STORAGE_URL": ""}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    log = Path(store.trainings.get_training(training.id).artifacts["log"])
    store.close()
    return usage.ru_maxrss * 1024, log.stat().st_size


if __name__ == "__main__":
    main()

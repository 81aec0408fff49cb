"""Measures what other tools answer for their lists, runs and searches, on as many runs as the viewer's benchmark has.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install mlflow optuna-dashboard trackio
    /tmp/peers/bin/python -m tests.benchmarks.viewer_peers mlflow|optuna|trackio --n 1000000 --keep DIR

Their pages are programs that ask an API: what is measured is the first byte of the requests that a page makes. One run
of each is written by the package itself and multiplied by SQL in its SQLite database: five epochs of three metrics and
three parameters a run (Optuna: three parameters and five intermediate values a trial, all in one study). Their fields
differ from run to run as far as lists sort and filter by them. Needs nothing of this project's dependencies.
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import importlib.metadata
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import report

_EPOCHS = 5
_REPEATS = 10
_SLOW = 2.0  # seconds: asked three times only
_MOST_SECONDS = 60.0
_PORT = 8895


@dataclass(frozen=True)
class Request:
    """A request that a page makes."""

    name: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Peer:
    """A tool: how its database is filled, how its server is started, what its pages ask."""

    package: str
    fill: Callable[[Path, int], None]
    serve: Callable[[Path], list[str]]
    requests: Callable[[Path, int], list[Request]]
    variable: str = "PEER_HOME"  # that names its folder


def _mlflow_fill(folder: Path, count: int) -> None:
    mlflow = importlib.import_module("mlflow")
    file = folder / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{file}")
    mlflow.set_experiment("searches")
    with mlflow.start_run(run_name="run 0", tags={"team": "1"}):
        mlflow.log_params({"model": "resnet18", "lr": 0.01, "weight_decay": 0.0001})
        for epoch in range(1, _EPOCHS + 1):
            mlflow.log_metrics({"train_loss": 1 / epoch, "val_loss": 1.5 / epoch, "top1_accuracy": 0.9}, step=epoch)
    with closing(sqlite3.connect(file)) as db:
        db.create_function("run_id", 1, lambda number: f"{number:032x}", deterministic=True)
        (first,) = db.execute("SELECT run_uuid FROM runs").fetchone()
        _numbers(db, count)
        changes = {
            "run_uuid": "run_id(n)",
            "name": "'run ' || n",
            "start_time": "start_time + 60000 * n",
            "end_time": "end_time + 60000 * n",
            "value": "CASE WHEN key IN ('train_loss', 'val_loss') THEN value + n % 997 / 997.0 ELSE value END",
        }
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            numbers = {name: sql for name, sql in changes.items() if name != "value" or "metrics" in table}
            _multiply(db, table, numbers, f"run_uuid = '{first}'")
        db.commit()


def _mlflow_requests(folder: Path, count: int) -> list[Request]:
    search = "/ajax-api/2.0/mlflow/runs/search"
    newest = {"experiment_ids": ["1"], "max_results": 100, "order_by": ["attributes.start_time DESC"]}
    run = f"{count // 2:032x}"
    several = "&".join(f"run_ids={number:032x}" for number in range(1, 101))
    history = "/ajax-api/2.0/mlflow/metrics/get-history"
    return [
        Request("list of the newest 100", search, newest),
        Request("filter by a parameter", search, {**newest, "filter": "params.model = 'resnet18'"}),
        Request("filter by a metric", search, {**newest, "filter": "metrics.val_loss < 0.301"}),
        Request("filter that nothing passes", search, {**newest, "filter": "params.model = 'none'"}),
        Request("run", f"/ajax-api/2.0/mlflow/runs/get?run_id={run}"),
        Request("curve of 1", f"{history}?run_id={run}&metric_key=val_loss"),
        Request("experiments", "/ajax-api/2.0/mlflow/experiments/search", {"max_results": 50}),
        # Last, for what is given up goes on in the server.
        Request("curves of 100", f"{history}-bulk-interval?{several}&metric_key=val_loss&max_results=320"),
        Request("order by a metric", search, {**newest, "order_by": ["metrics.val_loss ASC"]}),
    ]


def _optuna_fill(folder: Path, count: int) -> None:
    optuna = importlib.import_module("optuna")
    file = folder / "optuna.db"
    study = optuna.create_study(storage=f"sqlite:///{file}", study_name="search", direction="maximize")
    trial = study.ask()
    trial.suggest_categorical("model", ["resnet18", "resnet50"])
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    trial.suggest_float("weight_decay", 1e-6, 1e-3, log=True)
    for epoch in range(1, _EPOCHS + 1):
        trial.report(0.9 - 1 / epoch, epoch)
    study.tell(trial, 0.9)
    with closing(sqlite3.connect(file)) as db:
        _numbers(db, count)
        changes = {
            "trial_id": "trial_id + n",
            "number": "number + n",
            "param_value": "CASE param_name WHEN 'model' THEN n % 2 ELSE param_value * (1 + n % 997) / 997.0 END",
            "value": "value - n % 997 / 997.0",
        }
        for table in ("trials", "trial_params", "trial_values", "trial_intermediate_values"):
            _multiply(db, table, changes, "trial_id = 1")
        db.commit()


def _trackio_fill(folder: Path, count: int) -> None:
    trackio = importlib.import_module("trackio")
    trackio.init(project="searches", name="run 0", config={"model": "resnet18", "lr": 0.01}, embed=False)
    for epoch in range(1, _EPOCHS + 1):
        trackio.log({"train_loss": 1 / epoch, "val_loss": 1.5 / epoch, "top1_accuracy": 0.9}, step=epoch)
    trackio.finish()
    with closing(sqlite3.connect(folder / "searches.db")) as db:
        db.create_function("hex_id", 2, lambda text, number: f"{text}-{number:x}", deterministic=True)
        _numbers(db, count)
        changes = {
            "run_id": "hex_id(run_id, n)",
            "log_id": "hex_id(log_id, n)",
            "run_name": "'run ' || n",
        }
        for table in ("metrics", "configs"):
            _multiply(db, table, changes, "true")
        db.commit()


def _trackio_requests(folder: Path, count: int) -> list[Request]:
    with closing(sqlite3.connect(folder / "searches.db")) as db:
        rows = db.execute("SELECT DISTINCT run_id, run_name FROM configs ORDER BY id DESC LIMIT 64").fetchall()
    runs = [{"run_id": id, "name": name, "run": name, "id": id} for id, name in rows]
    one = {"project": "searches", "run": runs[0]["name"], "run_id": runs[0]["run_id"]}
    return [
        Request("projects", "/api/get_all_projects", {}),
        Request("list of runs", "/api/get_runs_for_project", {"project": "searches"}),
        Request("run", "/api/get_run_summary", one),
        Request("curve of 1", "/api/get_logs", one),
        Request("curves of 64, its limit", "/api/get_logs_batch", {"project": "searches", "runs": runs}),
    ]


def _numbers(db: sqlite3.Connection, count: int) -> None:
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -500000")
    db.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
    db.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(1, count)))


def _multiply(db: sqlite3.Connection, table: str, changes: dict[str, str], where: str) -> None:
    """Copies the rows for each number, with some columns changed; a key that is a row id is given anew."""
    names = []
    for _, name, _, _, _, key in db.execute(f"PRAGMA table_info({table})").fetchall():
        if not (key and name in ("id", f"{table.removesuffix('s')}_id", "param_id") and name not in changes):
            names.append(name)
    if table != "trials":
        names = [name for name in names if name not in ("trial_value_id", "trial_intermediate_value_id")]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changes.get(name, f'"{name}"') for name in names)
    db.execute(
        f"""INSERT INTO {table} ({columns}) SELECT {values}
        FROM numbers CROSS JOIN (SELECT * FROM {table} WHERE {where}) ORDER BY n"""
    )


PEERS = {
    "mlflow": Peer(
        "mlflow",
        _mlflow_fill,
        lambda folder: [
            *("mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(_PORT)),
        ],
        _mlflow_requests,
    ),
    "optuna": Peer(
        "optuna-dashboard",
        _optuna_fill,
        lambda folder: ["optuna-dashboard", f"sqlite:///{folder}/optuna.db", "--port", str(_PORT)],
        lambda folder, count: [
            Request("list of studies", "/api/studies"),
            Request("study with all trials", "/api/studies/1?after=0"),
            Request("importance", "/api/studies/1/param_importances"),
        ],
    ),
    "trackio": Peer(
        "trackio",
        _trackio_fill,
        lambda folder: [
            *(
                "python",
                "-c",
                f"import trackio; trackio.show(project='searches', server_port={_PORT}, open_browser=False)",
            )
        ],
        _trackio_requests,
        "TRACKIO_DIR",
    ),
}


@contextmanager
def _serving(peer: Peer, folder: Path) -> Iterator[int]:
    command = peer.serve(folder)
    command[0] = str(Path(sys.executable).parent / command[0])
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            end = time.monotonic() + _MOST_SECONDS
            while not _answers() and time.monotonic() < end:
                time.sleep(0.5)
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


def _answers() -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", _PORT, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
    except OSError:
        return False


def _ask(request: Request) -> tuple[int, float, int, bytes]:
    """The status, the milliseconds to the first byte, the size, the beginning of the body."""
    body = None if request.body is None else json.dumps(request.body)
    headers = {"accept-encoding": "gzip", "content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", _PORT, timeout=_MOST_SECONDS)) as connection:
        connection.connect()
        begin = time.perf_counter()
        connection.request("GET" if body is None else "POST", request.path, body, headers)
        answer = connection.getresponse()
        seconds = time.perf_counter() - begin
        content = answer.read()
    return answer.status, seconds * 1000, len(content), content[:200]


def _memory(process: int) -> float:
    """Resident megabytes of a process and its children."""
    total, ids = 0, [process]
    for id in ids:
        status = Path(f"/proc/{id}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        ids += map(int, Path(f"/proc/{id}/task/{id}/children").read_text().split())
    return total / 1024


def measure(name: str, count: int, keep: str) -> None:
    """Fills the peer's database, if it is not there, and asks its server."""
    peer, folder = PEERS[name], Path(keep, f"{name}-{count}")
    os.environ[peer.variable] = str(folder)
    if not (folder / "filled").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        begin = time.monotonic()
        peer.fill(folder, count)
        (folder / "filled").touch()
        print(json.dumps({"name": f"{name}: filled", "seconds": round(time.monotonic() - begin)}), flush=True)
    version = importlib.metadata.version(peer.package)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    print(json.dumps({"peer": peer.package, "version": version, "runs": count, "MB": size // 1_000_000}), flush=True)
    with _serving(peer, folder) as process:
        for request in peer.requests(folder, count):
            _measure_one(name, request)
        report(f"{name}: memory of the server", _memory(process), "MB")


def _measure_one(name: str, request: Request) -> None:
    try:
        status, milliseconds, size, content = _ask(request)
        if status != http.client.OK:
            print(json.dumps({"name": f"{name}: {request.name}", "status": status, "body": repr(content)}), flush=True)
            return
        count = 3 if milliseconds > 1000 * _SLOW else _REPEATS
        times = [_ask(request)[1] for _ in range(count)]
    except OSError as error:
        print(json.dumps({"name": f"{name}: {request.name}", "no answer": str(error)}), flush=True)
        return
    report(f"{name}: {request.name}: first byte, median", statistics.median(times), "ms")
    report(f"{name}: {request.name}: size", size / 1000, "kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--n", type=int, default=10_000, help="runs, or trials of the one study")
    parser.add_argument("--keep", metavar="DIR", required=True, help="where the filled database is kept")
    given = parser.parse_args()
    measure(given.peer, given.n, given.keep)


if __name__ == "__main__":
    main()

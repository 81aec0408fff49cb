"""A populated emulator, and scripts for its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.azureml_emulator.client import Emulator, running

_REPORT = """
import json, os, sys
import helpers.words as words
names = ("FOO", "RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
print(words.HELLO, json.dumps([sys.argv[1:], {name: os.environ[name] for name in names if name in os.environ}]))
"""
_EXIT = "import sys; print('leaving'); sys.exit(int(sys.argv[1]))"
_WAIT = """
import signal, sys, threading, time
ended = threading.Event()
def end(number, frame):
    print("told to end", flush=True)
    if sys.argv[1] == "willing":
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("waiting", flush=True)
while True:
    ended.wait(60)
"""
_INSIDE = """
import os
from azureml.core import Run
run = Run.get_context(allow_offline=False)
print(run.id, run.get_secret("db-uri") == "mongodb://user:s3cret@host", flush=True)
for epoch in range(3):
    run.log("loss", 1 / (epoch + 1))
run.log_row("curve", epoch=1, loss=0.5)
run.tag("stage", "trained")
os.mkdir("outputs")
open("outputs/weights.txt", "w").write("weights")
run.flush()
"""


@contextmanager
def populated(folder: Path) -> Iterator[Emulator]:
    """An emulator with one workspace and one cluster of three nodes that stay."""
    with running(folder) as started:
        started.populate(max_nodes=3, idle_seconds=3600)
        yield started


def settle(emulator: Emulator) -> None:
    """No faults, no runs that go on, all settings as ever."""
    emulator.faults.clear()
    emulator.configure(hold=False, page_size=100, latency=0.0, start_delay=0.0, kill_grace=0.0)
    for run in emulator.runs():
        emulator.cancel(run["runId"])
        emulator.wait(run["runId"])
    emulator.configure(kill_grace=5.0)


def write_source(folder: Path) -> str:
    """Writes the scripts, job.py, exit.py, wait.py and inside.py; returns the folder."""
    (folder / "helpers").mkdir(parents=True)
    (folder / "helpers" / "words.py").write_text("HELLO = 'hello'\n")
    for name, text in (("job", _REPORT), ("exit", _EXIT), ("wait", _WAIT), ("inside", _INSIDE)):
        (folder / f"{name}.py").write_text(text)
    return str(folder)

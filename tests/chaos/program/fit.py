"""The script that the chaos test trains: its losses follow from its parameters, and it keeps notes outside the store.

The notes are a file for each training, locked as long as the script lives, so that two at once are noticed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mitorch_service

NOTES = "CHAOS_NOTES"  # the folder of the notes, in the environment
_STATE = Path("state.json")


def expected_loss(parameters: Mapping[str, Any], epoch: int) -> float:
    """The loss after an epoch, counted from 1."""
    return round((float(parameters["x"]) - 0.3) ** 2 + 1 / (1 + epoch), 6)


class Notes:
    """The notes of one training by all its attempts."""

    def __init__(self, folder: Path, training: str, attempt: int) -> None:
        self._attempt = attempt
        self._path = folder / f"{training}.jsonl"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def begin(self) -> None:
        """Notes the start, and whether another process of this training lives."""
        alone = True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        self.write("start", alone=alone)

    def write(self, event: str, **facts: object) -> None:
        """Appends a line in one call, so that a kill leaves none that is torn."""
        line = {"event": event, "attempt": self._attempt, "pid": os.getpid(), **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def has(self, event: str) -> bool:
        """Whether any attempt has noted the event."""
        return any(json.loads(line)["event"] == event for line in self._path.read_text().splitlines())


def main() -> None:
    """Trains by the parameters; raises SystemExit where they say so."""
    parameters = mitorch_service.parameters()
    environ = os.environ
    notes = Notes(Path(environ[NOTES]), environ["MITORCH_TRAINING"], int(environ["MITORCH_ATTEMPT"]))
    notes.begin()
    kind = parameters["kind"]
    if kind == "leaves":  # a daemon, in a session of its own
        subprocess.Popen(["sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL)
    with contextlib.suppress(ConnectionError):  # the run is gone, and this will be killed
        _train(parameters, notes, resumes=kind != "plain")
    if kind == "hopeless" or (kind == "fails" and not notes.has("fail")):
        notes.write("fail")
        sys.exit(1)
    notes.write("done")


def _train(parameters: Mapping[str, Any], notes: Notes, resumes: bool) -> None:
    earlier = mitorch_service.last_checkpoint()
    done = 0 if earlier is None else json.loads(earlier.read_text())
    for epoch in range(done + 1, int(parameters["epochs"]) + 1):
        time.sleep(float(parameters["seconds"]))
        notes.write("report", epoch=epoch)
        loss = expected_loss(parameters, epoch)
        mitorch_service.report(epoch=epoch, train_loss=loss, val_loss=loss)
        if resumes:
            _STATE.write_text(json.dumps(epoch))
            mitorch_service.checkpoint(_STATE)
        if mitorch_service.should_stop():
            return


if __name__ == "__main__":
    main()

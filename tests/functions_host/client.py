"""The host as tests use it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.functions_host.web import KEY
from tests.warm.command import with_warm_code
from tests.warm.servers import TRAINING

ROOT = Path(__file__).parents[2]
APP = ROOT / "functions"
Line = dict[str, Any]


class Host:
    """A running host; what it has printed is in `lines`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[Line] = []
        self._coming: queue.Queue[Line | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        started = self.wait(lambda line: line["host"] == "started")
        self.url, self.functions = str(started["url"]), dict(started["functions"])

    def wait(self, wanted: Callable[[Line], Any], seconds: float = 60) -> Line:
        """The next line, of those not yet waited for, that is wanted."""
        while True:
            line = self._coming.get(timeout=seconds)
            assert line is not None, f"the host has ended: {self.lines}"
            self.lines.append(line)
            if wanted(line):
                return line

    def wait_for_pass(self, wanted: Callable[[Line], Any] = lambda line: True, seconds: float = 60) -> Line:
        """The next `pass` line in the app's log that is wanted."""
        found = self.wait(lambda line: (told := event(line)) and told["event"] == "pass" and wanted(told), seconds)
        return event(found)

    def events(self, kind: str) -> list[Line]:
        """The structured lines of one kind so far."""
        return [told for line in self.lines if (told := event(line)) and told["event"] == kind]

    def get(self, path: str, key: str | None = KEY) -> tuple[int, str]:
        """Status and body of an HTTP function's answer."""
        headers = {} if key is None else {"x-functions-key": key}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(self.url + path, headers=headers), timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def printed(self) -> str:
        """All that it has printed."""
        return "\n".join(json.dumps(line) for line in self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._coming.put(json.loads(text) if text.startswith("{") else {"host": "other", "text": text})
        self._coming.put(None)


def event(line: Line) -> Line:
    """Returns the event in a log line of the app; empty for any other line."""
    if line["host"] != "log" or line["logger"] != "mitorch":
        return {}
    told: Line = json.loads(line["message"])
    return told


@contextmanager
def running(state: Path, environment: Mapping[str, str], app: Path = APP, cold: bool = False) -> Iterator[Host]:
    """A host of the app with these settings, in a process of its own that ends with the block.

    It is forked from one that has imported the SDKs (see `tests.warm`), unless `cold`.
    """
    arguments = [str(app), "--state", str(state)]
    settings = {**environment, "PYTHONPATH": f"{ROOT}:{environment.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "tests.functions_host", *arguments]
    if not cold:
        settings = with_warm_code(settings, TRAINING)
        command = [sys.executable, "-c", "from tests.functions_host.__main__ import main; main()", *arguments]
    process = subprocess.Popen(
        command,
        cwd=state.parent,
        env=settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    with process:
        yield Host(process)
        process.stdin.close()
        process.wait(timeout=30)

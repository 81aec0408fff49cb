"""A script's process: how it ends, by itself and otherwise, with all of its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mitorch_service.runs.script.process import Graces, ScriptEnd, ScriptProcess

QUICK = Graces(0.3, 0.3)
READY = "print('ready', flush=True)\n"
ENDLESS = READY + "import time\nwhile True: time.sleep(60)"
IGNORES = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ENDLESS
LISTENS = f"import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n{ENDLESS}"
PARENT = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {ENDLESS!r}])\nprint(child.pid)\n"


class Script:
    """Runs Python code as a script in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.processes: list[ScriptProcess] = []

    def start(self, code: str, **environment: str) -> ScriptProcess:
        command = [sys.executable, "-c", code]
        process = ScriptProcess(command, self.folder, {**os.environ, **environment}, self.show)
        self.processes.append(process)
        return process

    def end(self, code: str, **environment: str) -> ScriptEnd:
        """How it ends when nobody asks it to."""
        with self.start(code, **environment) as process:
            return process.wait(lambda: False, lambda: False, QUICK)

    def stopped(self, code: str, asks: bool = False, graces: Graces = QUICK) -> ScriptEnd:
        """How it ends when it is to stop, once it has printed `ready`."""
        with self.start(code) as process:
            assert self.ready.wait(20)
            return process.wait(lambda: True, lambda: asks, graces)

    def show(self, line: str) -> None:
        self.lines.append(line)
        if line == "ready":
            self.ready.set()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    for process in script.processes:
        process.close()


@pytest.mark.parametrize("code", [0, 1, 75, 255])
def test_it_ends_with_its_exit_code(script: Script, code: int) -> None:
    assert script.end(f"import os; os._exit({code})") == ScriptEnd(code, False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_it_ends_by_its_signal(script: Script, number: int) -> None:
    assert script.end(f"import os; os.kill(os.getpid(), {number})") == ScriptEnd(-number, False)


def test_all_that_it_prints_is_shown_in_order(script: Script) -> None:
    code = "print('a')\nprint('b', file=sys.stderr, flush=True)\nprint('10%\\r20%')\nos.write(1, b'\\xff!')"
    script.end(f"import sys, os\n{code}", PYTHONUNBUFFERED="1")
    assert script.lines == ["a", "b", "20%", "�!"]


def test_it_runs_in_its_folder_with_its_environment(script: Script) -> None:
    script.end("import os, sys\nprint(os.getcwd(), os.environ['A'], repr(sys.stdin.read()))", A="1")
    assert script.lines == [f"{script.folder} 1 ''"]


def test_a_command_that_does_not_exist_is_told(script: Script) -> None:
    with ScriptProcess(["no-such-program"], script.folder, dict(os.environ), script.show) as process:
        assert process.wait(lambda: False, lambda: False, QUICK).code == 127
    assert script.lines == ["no-such-program could not be started: No such file or directory"]


def test_the_name_of_such_a_command_is_shown(script: Script) -> None:
    with ScriptProcess(["\x1b[2J\nx\udcff"], script.folder, dict(os.environ), script.show) as process:
        assert process.wait(lambda: False, lambda: False, QUICK).code == 127
    assert script.lines == [r"'\x1b[2J\nx\udcff' could not be started: No such file or directory"]


def test_one_that_never_asks_gets_sigterm_at_once(script: Script) -> None:
    assert script.stopped(LISTENS, asks=False, graces=Graces(1000, 20)) == ScriptEnd(3, True)


def test_one_that_asks_gets_time_to_end_by_itself(script: Script) -> None:
    code = READY + "import time\ntime.sleep(0.2)"
    assert script.stopped(code, asks=True, graces=Graces(20, 0)) == ScriptEnd(0, False)


def test_one_that_asks_and_goes_on_gets_sigterm(script: Script) -> None:
    assert script.stopped(ENDLESS, asks=True, graces=Graces(0.1, 20)) == ScriptEnd(-signal.SIGTERM, True)


def test_one_that_ignores_sigterm_is_killed(script: Script) -> None:
    assert script.stopped(IGNORES) == ScriptEnd(-signal.SIGKILL, True)


def test_children_end_with_it(script: Script) -> None:
    for code in (PARENT, PARENT + "child.wait()"):
        script.lines.clear()
        script.ready.clear()
        if code == PARENT:
            script.end(code)
        else:
            script.stopped(code)
        child = next(int(line) for line in script.lines if line.isdecimal())
        assert gone(child)


def test_it_ends_with_the_run_however_that_ends(tmp_path: Path) -> None:
    run = f"""
import os, sys
from pathlib import Path
from mitorch_service.runs.script.process import Graces, ScriptProcess
command = [sys.executable, "-c", {("import os; print(os.getpid())" + chr(10) + PARENT + "child.wait()")!r}]
process = ScriptProcess(command, Path({str(tmp_path)!r}), dict(os.environ), lambda line: print(line, flush=True))
process.wait(lambda: False, lambda: False, Graces())
"""
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline().strip() for _ in range(3)]
        assert "ready" in lines
        parent.kill()
    assert all(gone(int(line)) for line in lines if line.isdecimal())


def test_it_ends_when_guard_and_run_are_killed_together(tmp_path: Path) -> None:
    run = f"""
import os, sys
from pathlib import Path
from mitorch_service.runs.script.process import Graces, ScriptProcess
command = [sys.executable, "-c", {("import os; print(os.getppid(), os.getpid())" + chr(10) + ENDLESS)!r}]
process = ScriptProcess(command, Path({str(tmp_path)!r}), dict(os.environ), lambda line: print(line, flush=True))
process.wait(lambda: False, lambda: False, Graces())
"""
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdout is not None
        guard, script = map(int, parent.stdout.readline().split())
        for pid in (parent.pid, guard):
            os.kill(pid, signal.SIGSTOP)  # so that neither has time to end the script
        for pid in (parent.pid, guard):
            os.kill(pid, signal.SIGKILL)
    assert gone(script)


def gone(pid: int) -> bool:
    """Whether the process ends soon, or has."""

    def quietly(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except psutil.NoSuchProcess:
            return None

    process = quietly(lambda: psutil.Process(pid))
    if process is None or quietly(process.status) in (None, psutil.STATUS_ZOMBIE):
        return True
    try:
        process.wait(20)
    except psutil.TimeoutExpired:
        return bool(quietly(process.status) == psutil.STATUS_ZOMBIE)
    return True

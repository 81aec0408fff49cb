"""Tests who stops a server that sessions of tests share. A file that is there stands for the server that runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shared_server import NotStarted, release, shared

SHARED_SERVER = Path(__file__).parents[3] / "scripts" / "shared_server"
STAND_IN = """#!/usr/bin/env bash
set -euo pipefail
folder={folder}
source {shared_server}
is_running() {{ [[ -e $folder/up ]]; }}
bring_up() {{
  echo "start${{in_use:+, in use}}" >>"$folder/calls"
  [[ ! -e $folder/broken ]] || {{ echo "no room" >&2 && exit 1; }}
  touch "$folder/up"
  echo the-address
}}
tear_down() {{
  echo stop >>"$folder/calls"
  rm -f "$folder/up"
}}
"$1"
"""


@dataclass(frozen=True)
class StandIn:
    """A script with a server that starts and stops at once."""

    script: Path
    folder: Path

    @property
    def runs(self) -> bool:
        return (self.folder / "up").exists()

    @property
    def calls(self) -> list[str]:
        """The starts and stops, in order."""
        return (self.folder / "calls").read_text().splitlines()

    def by_hand(self, command: str) -> None:
        subprocess.run([self.script, command], check=True, capture_output=True)


@pytest.fixture
def server(tmp_path: Path) -> StandIn:
    folder, script = tmp_path / "server", tmp_path / "script"
    folder.mkdir()
    script.write_text(STAND_IN.format(folder=folder, shared_server=SHARED_SERVER))
    script.chmod(0o755)
    return StandIn(script, folder)


def test_the_last_user_stops_it(server: StandIn) -> None:
    first, second = shared(server.script), shared(server.script)
    assert first.__enter__() == "the-address"
    assert second.__enter__() == "the-address"
    first.__exit__(None, None, None)  # who started it
    assert server.runs
    second.__exit__(None, None, None)
    assert server.calls == ["start", "start, in use", "stop"]


def test_one_who_is_killed_uses_it_no_longer(server: StandIn) -> None:
    with shared(server.script):
        command = ["flock", "--shared", "--no-fork", str(server.folder / "users"), "sh", "-c", "echo; exec sleep 60"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            other.stdout.readline()  # it has the lock
            release(server.script)
            kept = server.runs
            other.kill()
    assert kept
    assert server.calls == ["start", "stop"]


def test_one_that_a_killed_session_left_is_stopped_by_the_next(server: StandIn) -> None:
    with (server.folder / "users").open("a") as users:
        subprocess.run([server.script, "share"], stdin=users, check=True, capture_output=True)
    assert server.runs
    release(server.script)
    assert not server.runs


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_one_that_was_started_by_hand_stays(server: StandIn, when: str) -> None:
    if when == "before":
        server.by_hand("start")
    with shared(server.script):
        if when == "meanwhile":
            server.by_hand("start")
    assert server.runs
    server.by_hand("stop")
    assert not server.runs


def test_a_start_by_hand_tells_that_tests_use_it(server: StandIn) -> None:
    server.by_hand("start")
    with shared(server.script):
        server.by_hand("start")
    assert server.calls == ["start", "start", "start, in use"]


def test_a_server_that_does_not_start_tells_why(server: StandIn) -> None:
    (server.folder / "broken").touch()
    with pytest.raises(NotStarted, match=r"^no room$"), shared(server.script):
        pass
    server.by_hand("release")  # nothing is left locked, nothing runs
    assert not server.runs

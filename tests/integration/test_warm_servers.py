"""The servers that fork commands outlive whoever orders one, and a command without its server fails."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm.command import Command, with_warm_code
from tests.warm.server import Order
from tests.warm.servers import COMMANDS


@pytest.mark.parametrize("ordered", [False, True])
def test_an_orderer_that_is_killed_ends_no_server(tmp_path: Path, ordered: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(COMMANDS.address())
        if ordered:
            order = Order(["miquery", "--help"], [], {}, str(tmp_path))
            socket.send_fds(connection, [pickle.dumps(order)], [os.open(os.devnull, os.O_RDWR)] * 3)
    with Command(["query", "--help"], dict(os.environ), tmp_path) as command:
        assert "Usage" in command.communicate()[0]
    assert command.returncode == 0


def test_without_its_server_a_command_fails_loudly(tmp_path: Path) -> None:
    environment = {**with_warm_code(os.environ, COMMANDS), "WARM_CODE": str(tmp_path / "none")}
    command = [sys.executable, "-c", "print('ran')"]
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (70, "")
    assert "FileNotFoundError" in ended.stderr

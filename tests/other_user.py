"""Code that runs as another user of this machine, in a process of its own; only root can have that."""

from __future__ import annotations

import grp
import os
import pickle
import pwd
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

Result = TypeVar("Result")

_SECONDS = 30.0

_NEEDED = (grp, pwd)  # loaded here: another user may not be able to read Python's own files

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@dataclass(frozen=True)
class User:
    """A user by number, in a group of the same number and in others."""

    number: int
    groups: tuple[int, ...] = ()
    umask: int = 0o022

    def run(self, call: Callable[[], Result]) -> Result:
        """Returns what the call returns there, or raises what it raises."""
        with self.running(lambda channel: call()) as process:
            result: Result = process.result()
            return result

    @contextmanager
    def running(self, call: Callable[[socket.socket], Any]) -> Iterator[UserProcess]:
        """Runs the call, which may talk to the test over the socket."""
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are
            pid = os.fork()
        if pid == 0:
            ours.close()
            self._work(call, theirs)
        theirs.close()
        ours.settimeout(_SECONDS)
        process = UserProcess(pid, ours)
        try:
            yield process
        finally:
            process.wait()

    def _work(self, call: Callable[[socket.socket], Any], channel: socket.socket) -> None:
        try:
            os.setgroups(self.groups)
            os.setgid(self.number)
            os.setuid(self.number)
            os.umask(self.umask)
            answer: tuple[Any, BaseException | None] = (call(channel), None)
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            answer = (None, error)
        try:
            channel.sendall(b"=" + pickle.dumps(answer))
        finally:
            os._exit(0)


class UserProcess:
    """A call that is running as another user."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self._ended = False

    def result(self) -> Any:
        """Returns what the call has returned, or raises what it has raised."""
        data = b""
        while part := self.channel.recv(1 << 16):
            data += part
        result, error = pickle.loads(data.partition(b"=")[2])
        if error is not None:
            raise error
        return result

    def wait(self) -> None:
        if not self._ended:
            self._ended = True
            self.channel.close()
            os.waitpid(self.pid, 0)


@contextmanager
def common_folder(owner: User, mode: int = 0o777, group: int | None = None) -> Iterator[Path]:
    """A folder that all users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="mitorch-test-") as name:
        Path(name).chmod(0o755)
        folder = Path(name, "team")
        folder.mkdir()
        os.chown(folder, owner.number, owner.number if group is None else group)
        folder.chmod(mode)
        yield folder

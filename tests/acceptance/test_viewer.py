"""miviewer as a person starts and ends it."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

from mitorch_service.cli.main import call, load
from tests.acceptance.conftest import Machine
from tests.warm.command import Process


def link_of(viewer: Process) -> str:
    assert viewer.stdout is not None
    found = re.search(r"Open (http://\S+)", viewer.stdout.readline())
    assert found
    return found[1]


def get(url: str, token: str | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        content: bytes = answer.read()
        return content


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_ends_soon_with_a_stream_open(bare_machine: Machine, how: int) -> None:
    config = bare_machine.write("script.json", {"script": {"command": "true"}})
    id = bare_machine.ok("submit", config)
    viewer = bare_machine.start("viewer")
    try:
        link = link_of(viewer)
        address, _, token = link.partition("/?token=")
        assert json.loads(get(f"{address}/api/trainings/{id}", token))["status"] == "new"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(f"{address}/api/queue")
        assert bare_machine.ok("viewer", "--link", "--port", address.rpartition(":")[2]) == link
        request = urllib.request.Request(f"{address}/api/events/trainings/{id}")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=20) as stream:
            assert stream.readline()
            begin = time.monotonic()
            viewer.send_signal(how)
            assert viewer.wait(20) == 0
            assert time.monotonic() - begin < 3
    finally:
        viewer.kill()
    out, _ = viewer.communicate()
    assert "Traceback" not in out and token not in out


def test_addresses_and_ports_that_cannot_be_used_are_told(bare_machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = bare_machine.run("viewer", "--port", port)
        assert answer.code == 2 and f"127.0.0.1:{port}: Address already in use" in answer.err
        assert "Choose another with --port" in answer.err
    for arguments, words in (
        (["--address", "203.0.113.9"], "203.0.113.9:"),
        (["--address", "no.such.host.invalid"], "no.such.host.invalid:"),
        (["--address", "0.0.0.0", "--no-token"], "--no-token goes with an address of this machine only"),
        (["--no-token", "--new-token"], "not both"),
        (["--host-name", "https://a.example:80/"], "is no name of a host"),
    ):
        answer = bare_machine.run("viewer", *arguments)
        assert (answer.code, words in answer.err, "Traceback" in answer.err) == (2, True, False), answer
    answer = bare_machine.run("viewer", MITORCH_VIEWER_TOKEN="short")
    assert answer.code == 2 and "MITORCH_VIEWER_TOKEN" in answer.err and "short" not in answer.err


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("fastapi", "mitorch_service.viewer.app"):
        monkeypatch.delitem(__import__("sys").modules, module, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "fastapi", None)
    assert call(load("viewer"), "miviewer", []) == 1
    assert "pip install 'mitorch-service[viewer]'" in capsys.readouterr().err

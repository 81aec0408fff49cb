"""The API that scripts call, by hand and under a run, over the real channel."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import mitorch_service
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.result import EpochResult
from mitorch_service.runs.script.calls import ScriptCalls
from mitorch_service.runs.script.channel import ScriptChannel
from mitorch_service.runs.script.script_checkpoints import CheckpointName, ScriptCheckpoints
from mitorch_service.training.loop.reporter import NullReporter
from tests.samples import NOW


class Listener(NullReporter):
    """Keeps what it is told; stops when told to."""

    def __init__(self) -> None:
        self.results: list[EpochResult] = []
        self.stop = threading.Event()

    def epoch_ended(self, result: EpochResult) -> None:
        self.results.append(result)

    def should_stop(self) -> bool:
        return self.stop.is_set()


class Run:
    """The side of the run: what arrives, and the answers."""

    def __init__(self, folder: Path) -> None:
        self.listener = Listener()
        self.artifacts = FolderArtifactStore(folder / "artifacts")
        self.checkpoints = ScriptCheckpoints(self.artifacts, "t", 1)
        self.now = NOW
        self.calls = ScriptCalls(self.listener, self.checkpoints, lambda: self.now, 0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """This process is the script of a run."""
    run = Run(tmp_path)
    with ScriptChannel(run.calls.answer) as channel:
        monkeypatch.setenv("MITORCH_REPORT", channel.address)
        yield run


def test_a_report_is_an_epoch(run: Run) -> None:
    run.now = NOW + timedelta(seconds=3)
    mitorch_service.report(epoch=1, train_loss=0.5, val_loss=0.25, metrics={"accuracy": 0.9}, learning_rate=0.1)
    (result,) = run.listener.results
    assert (result.epoch, result.train_loss, result.val_loss, result.metrics) == (1, 0.5, 0.25, {"accuracy": 0.9})
    assert (result.learning_rate, result.epoch_seconds, result.finished_at) == (0.1, 3.0, run.now)
    assert list(run.calls.recent) == [result]


def test_what_is_not_reported_is_not_known(run: Run) -> None:
    mitorch_service.report(2, val_loss=float("nan"))
    (result,) = run.listener.results
    assert (result.train_loss, result.learning_rate, result.samples_per_second) == (None, None, None)
    assert result.val_loss is not None
    assert math.isnan(result.val_loss)


@pytest.mark.parametrize("under_a_run", [True, False])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": 1.5}, r"whole number from 0 to 999999 \(it is 1\.5\)"),
        ({"epoch": -1}, "whole number"),
        ({"epoch": True}, "whole number"),
        ({"epoch": 1, "metrics": {"a.b": 1}}, r"name of a metric|metric's name"),
        ({"epoch": 1, "metrics": {"": 1}}, "metric's name"),
        ({"epoch": 1, "metrics": {str(n): 1 for n in range(201)}}, "at most 200 metrics"),
        ({"epoch": None}, "whole number"),
        ({"epoch": math.nan}, "whole number"),
        ({"epoch": 1, "train_loss": "high"}, r"train_loss must be one number \(it is 'high'\)"),
        ({"epoch": 1, "metrics": {"auc": None}}, "auc must be one number"),
    ],
)
def test_what_cannot_be_recorded_is_told_by_hand_as_well(
    under_a_run: bool, arguments: dict[str, Any], message: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not under_a_run:
        monkeypatch.delenv("MITORCH_REPORT")
    with pytest.raises(ValueError, match=message):
        mitorch_service.report(**arguments)
    assert run.listener.results == []


def test_by_hand_nothing_happens(tmp_path: Path) -> None:
    mitorch_service.report(epoch=1, train_loss=0.5, metrics={"accuracy": 1})
    assert mitorch_service.checkpoint(tmp_path) is False
    assert mitorch_service.should_stop() is False
    assert mitorch_service.last_checkpoint() is None
    assert mitorch_service.parameters() == {}
    with pytest.raises(FileNotFoundError):
        mitorch_service.checkpoint(tmp_path / "missing")


def test_a_script_is_told_to_stop(run: Run) -> None:
    assert mitorch_service.should_stop() is False
    assert (run.calls.asks, run.calls.told_to_stop) == (True, False)
    run.listener.stop.set()
    assert mitorch_service.should_stop() is True
    assert run.calls.told_to_stop


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_checkpoint_comes_back(run: Run, kind: str, tmp_path: Path) -> None:
    source = tmp_path / "state"
    for number in range(1, 4):
        mitorch_service.report(epoch=number)
        if kind == "file":
            source.write_text(f"state {number}")
        else:
            source.mkdir(exist_ok=True)
            (source / "model.txt").write_text(f"state {number}")
        assert mitorch_service.checkpoint(source)
    assert len(run.artifacts.keys("t/checkpoints/")) == 2  # the newest, and the one before
    later = ScriptCheckpoints(run.artifacts, "t", 2)
    assert later.last_epoch() == 3
    restored = later.restore(tmp_path / "restored")
    assert restored is not None
    assert (restored.path.name, restored.epoch) == ("state", 3)
    assert [result.epoch for result in restored.results] == [1, 2, 3]
    assert restored.results[0].train_loss is None
    assert (restored.path if kind == "file" else restored.path / "model.txt").read_text() == "state 3"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "state"
    for text in ("one", "two"):
        source.write_text(text)
        mitorch_service.checkpoint(source)
    newest = tmp_path / "artifacts" / run.artifacts.keys("t/checkpoints/")[-1]
    newest.write_bytes(newest.read_bytes()[:700])
    restored = ScriptCheckpoints(run.artifacts, "t", 2).restore(tmp_path / "restored")
    assert restored is not None
    assert restored.path.read_text() == "one"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"results.json": b"[]"},
        {"files/state": b"x"},
        {"files/state": b"x", "results.json": b"["},
        {"files/state": b"x", "results.json": b'{"epoch": 1}'},
        {"files/state": b"x", "results.json": b"[3]"},
        {"files/state": b"x", "results.json": b'[{"epoch": "one"}]'},
        {"files/a": b"x", "files/b": b"x", "results.json": b"[]"},
        {"files": b"x", "files/b": b"x", "results.json": b"[]"},
        {"../state": b"x", "results.json": b"[]"},
        None,
    ],
)
def test_a_damaged_checkpoint_of_the_right_digest_falls_back_too(
    run: Run, tmp_path: Path, members: dict[str, bytes] | None
) -> None:
    source = tmp_path / "state"
    source.write_text("one")
    mitorch_service.checkpoint(source)
    file = tmp_path / "other.tar"
    file.write_bytes(b"\x1f\x8b\x08" + bytes(600))  # the beginning of a compressed one
    if members is not None:
        with tarfile.open(file, "w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    run.artifacts.put(f"t/checkpoints/{CheckpointName(1, 2, 1, digest)}/checkpoint.tar", file)
    restored = ScriptCheckpoints(run.artifacts, "t", 2).restore(tmp_path / "restored")
    assert restored is not None
    assert restored.path.read_text() == "one"


def test_an_attempt_that_was_taken_over_does_not_change_what_its_successor_has(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "state"
    source.write_text("second attempt")
    ScriptCheckpoints(run.artifacts, "t", 2).keep(source, 5)
    source.write_text("first attempt, late")
    for _ in range(3):
        assert mitorch_service.checkpoint(source)
    restored = ScriptCheckpoints(run.artifacts, "t", 3).restore(tmp_path / "restored")
    assert restored is not None
    assert restored.path.read_text() == "second attempt"


def test_a_checkpoint_that_cannot_be_stored_does_not_end_the_script(run: Run, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("no folder")
    source = tmp_path / "state"
    source.write_text("x")
    assert mitorch_service.checkpoint(source) is False
    mitorch_service.report(epoch=1)
    assert len(run.listener.results) == 1


def test_only_the_scripts_own_calls_are_answered(run: Run) -> None:
    host, port, _ = os.environ["MITORCH_REPORT"].split(":")
    for line in (b'{"verb": "should_stop", "token": "wrong"}\n', b"[1]\n", b"\xff\n", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
            connection.sendall(line)
            assert "error" in json.loads(answers.readline())
    assert run.calls.asks is False


def test_a_call_of_another_version_is_told(run: Run) -> None:
    with pytest.raises(ValueError, match="of different versions"):
        run.calls.answer({"verb": "sing"})


def test_many_threads_and_processes_report_at_once(run: Run) -> None:
    code = "import sys, mitorch_service\nfor n in range(20): mitorch_service.report(epoch=20 * int(sys.argv[1]) + n)"
    children = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(2)]
    threads = [threading.Thread(target=mitorch_service.report, args=(100 + n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait() for child in children] == [0, 0]
    assert {result.epoch for result in run.listener.results} == {*range(40), *range(100, 120)}


def test_a_run_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptChannel(lambda message: {}) as channel:
        monkeypatch.setenv("MITORCH_REPORT", channel.address)
    with pytest.raises(ConnectionError):
        mitorch_service.should_stop()


def test_parameters_and_checkpoint_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.json").write_text('{"lr": 0.1}')
    monkeypatch.setenv("MITORCH_PARAMETERS", str(tmp_path / "p.json"))
    monkeypatch.setenv("MITORCH_CHECKPOINT", str(tmp_path / "state"))
    assert mitorch_service.parameters() == {"lr": 0.1}
    assert mitorch_service.last_checkpoint() == tmp_path / "state"


def test_the_package_costs_a_script_nothing() -> None:
    code = "import sys, mitorch_service\nmitorch_service.report(epoch=1)\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "pydantic", "pymongo", "click"} & set(out.split())
    with pytest.raises(AttributeError, match="has no attribute 'reportz'"):
        mitorch_service.reportz  # noqa: B018

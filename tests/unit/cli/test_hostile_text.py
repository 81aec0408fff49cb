"""Terminal escape sequences in whatever users may write, shown by every command that reads and by the viewer."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from mitorch_service.annotations.annotated_image import AnnotatedImage, Label
from mitorch_service.annotations.writers.json_lines import write_json_lines
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.cli.control_commands import control_run
from mitorch_service.cli.main import call, load
from mitorch_service.cli.mitorch_commands import consume
from mitorch_service.cli.views.pages.escapes import EscapingStream
from mitorch_service.cli.views.prediction_progress import Bar
from mitorch_service.cli.views.training_progress import PlainReporter, show_evaluation
from mitorch_service.controller.pass_report import Event
from mitorch_service.models.status import TrainingStatus
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.wiring import open_store
from tests.demo_service import fill
from tests.fakes import FakeBackend, primitives
from tests.hostile_text import HOSTILE, MARK, OBEYED, assert_not_obeyed
from tests.samples import a_result
from tests.served import ADDRESS, BEARER, NOW, TOKEN

USERS_OWN = ("name", "user_note", "submitted_by", "tags", "error", "options")  # texts, at whatever depth below
SCRIPT = {"script": {"command": [HOSTILE], "env": {"A": HOSTILE}}, "parameters": {"lr": 0.1, HOSTILE: HOSTILE}}
LEFT_OUT: dict[tuple[str, ...], str] = {
    ("viewer",): "has no end; its pages are below",
    ("run",): "a backend starts it, and its output is a log",
    ("control", "run"): "has no end; `control` makes the same pass",
    ("consume",): "has no end",
    ("completion",): "prints a program of ours",
    ("schema",): "prints the form of configs",
    ("train",): "test_what_trains_and_predicts_does_not_either",
    ("test",): "the same",
    ("predict",): "the same",
    ("export",): "prints paths",
    ("control", "drill"): "runs a training",
}


@dataclass
class Filled:
    """A home whose database, files and settings are full of hostile text."""

    folder: Path
    store: Store
    training: str
    failed: str
    job: str


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        at_home(patch, folder)
        store = open_store(read_settings(), create=True)
        job = fill(store, NOW, 27, 3)
        database = primitives(store)
        for collection in ("trainings", "jobs", "datasets", "training_results"):
            for document in [*database.find(Query(collection, order=(("_id", 1),)))]:
                database.replace(collection, hostile(document))

        def newest(status: TrainingStatus) -> str:
            return store.trainings.list_trainings(TrainingFilter(status), 1).items[0].id

        training, failed = newest(TrainingStatus.COMPLETED), newest(TrainingStatus.FAILED)
        document = dict(next(database.find(Query("trainings", {"_id": failed}))))
        database.replace("trainings", {**document, "config": SCRIPT})
        database.insert("trainings", [{"_id": f"1{HOSTILE}", "status": "new", "priority": HOSTILE}])  # unreadable
        (folder / "log.txt").write_text(HOSTILE)
        (folder / "training.json").write_text(json.dumps({"model": {"name": HOSTILE}, HOSTILE: 1, "dataset": "parts"}))
        (folder / "script.json").write_text(json.dumps(SCRIPT))
        (folder / "definitions.json").write_text(json.dumps([{"name": HOSTILE, "train": {"path": HOSTILE}}]))
        (folder / "data.csv").write_text(f'image,label\n"{HOSTILE}.png","{HOSTILE}"\n')
        yield Filled(folder, store, training, failed, job)
        store.close()


@pytest.fixture(autouse=True)
def _at_home(filled: Filled, monkeypatch: pytest.MonkeyPatch, _clean_environment: None) -> None:
    at_home(monkeypatch, filled.folder)


def at_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)
    patch.setenv("HOME", str(folder))
    patch.setenv("MITORCH_HOME", str(folder / "home"))
    patch.setenv("MITORCH_USER", "ada")
    patch.setenv("MITORCH_CLUSTERS", '[{"name": "gpu-west", "kind": "local", "slots": 0}]')
    patch.setenv("COLUMNS", "200")


def hostile(document: dict[str, Any]) -> dict[str, Any]:
    """The document with hostile text wherever a person, a script or a cluster may have written one."""
    changed = {key: _within(value) if key in USERS_OWN else value for key, value in document.items()}
    if "attempts" in document:
        changed["attempts"] = [
            {**one, "reason": HOSTILE, "url": f"https://h/{HOSTILE}"} for one in document["attempts"]
        ]
        changed |= {"name": HOSTILE, "user_note": HOSTILE, "submitted_by": HOSTILE, "tags": [HOSTILE, f"a={HOSTILE}"]}
        changed["artifacts"] = {HOSTILE: HOSTILE}
        changed["evaluation"] = None if document.get("evaluation") is None else {HOSTILE: 0.5, "val_loss": 0.5}
        if document.get("progress"):
            changed["progress"] = {**document["progress"], "metrics": {HOSTILE: 0.5}}
        if isinstance(document.get("trial"), dict):
            changed["trial"] = {**document["trial"], "parameters": {HOSTILE: HOSTILE, "lr": 0.1}}
    if "counts" in document:
        changed |= {"name": HOSTILE, "tags": [HOSTILE]}
    if "contents" in document or "train" in document:
        changed = {**document, "train": {"path": f"/d/{HOSTILE}", "support_files": [HOSTILE]}}
    if "val_loss" in document and "epoch" in document:
        changed["metrics"] = {HOSTILE: 0.5}
    return changed


def _within(value: Any) -> Any:
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [_within(one) for one in value]
    return {key: _within(one) for key, one in value.items()} if isinstance(value, dict) else value


LINES: tuple[tuple[str, ...], ...] = (
    *(("query",), ("query", "--jobs"), ("query", "--json"), ("query", "--csv")),
    *(("query", "TRAINING"), ("query", "TRAINING", "--json"), ("query", "TRAINING", "--csv"), ("query", "FAILED")),
    *(("query", "JOB"), ("query", "JOB", "--all"), ("query", "JOB", "--json")),
    ("query", "TRAINING", "FAILED"),
    ("query", "--where", "status:failed", "--columns", "name,tag,note,by,error,cluster,config.parameters"),
    ("query", "--where", "status:failed", "--columns", "name,tag", "--json"),
    ("query", "--group-by", "name", "--value", "val_loss"),
    ("query", "--where", f"name:{HOSTILE}"),
    *(("query", HOSTILE), ("query", "--views"), ("query", "--tag", HOSTILE), ("query", "FAILED", "--why")),
    *(("dataset", "list"), ("dataset", "list", "--json"), ("dataset", "show", "parts"), ("dataset", "show", HOSTILE)),
    *(("dataset", "show", "parts", "--json"), ("dataset", "check", "parts"), ("dataset", "split", HOSTILE)),
    *(("dataset", "export", "parts", "--format", "coco", "-o", "out"), ("dataset", "remove", HOSTILE)),
    *(("dataset", "register", "definitions.json"), ("dataset", "split", "data.csv", "-o", "split")),
    *(("dataset", "suspects", "parts", "--with", HOSTILE), ("dataset", "import-annotations", "--tasks", "1")),
    *(("dataset", "cvat", "pull", "--task", "1"), ("dataset", "cvat", "push-xml", HOSTILE)),
    *(("dataset", "cvat", "push", HOSTILE, HOSTILE), ("dataset", "cvat", "update-ground-truth", HOSTILE)),
    *(("dataset", "datastore", "list"), ("dataset", "datastore", "register", HOSTILE, "--container", HOSTILE)),
    *(("control",), ("control", "status"), ("control", "status", "--cost"), ("control", "status", "--json")),
    *(("control", "logs", "FAILED"), ("control", "cancel", HOSTILE), ("control", "retry", HOSTILE)),
    *(("control", "priority", HOSTILE, "3"), ("control", "delete", HOSTILE), ("control", "tag", "TRAINING", HOSTILE)),
    *(("control", "name", "TRAINING", HOSTILE), ("control", "note", "TRAINING", HOSTILE)),
    *(("control", "prune", "--older-than", "1d", "--dry-run"), ("control", "repair", f"1{HOSTILE}")),
    *(("control", "backup", "backup.zip"), ("control", "restore", "backup.zip"), ("control", "test-webhooks", HOSTILE)),
    *(("control", "replay", "--from-history"), ("control", "register-model", HOSTILE)),
    *(
        ("submit", "training.json"),
        ("submit", "script.json"),
        ("submit", HOSTILE),
        ("submit", "--explain", "script.json"),
    ),
    *(("doctor", "--timeout", "1"), ("init", HOSTILE), ("init", "data.csv"), ("import", "wandb", HOSTILE)),
)


def test_every_command_that_reads_is_there() -> None:
    def below(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from below((*path, name), child)
        elif path not in LEFT_OUT:
            yield path

    from mitorch_service.cli.main import COMMANDS

    every = {path for name in COMMANDS for path in below((name,), load(name))}
    shown = {path for path in every if any(line[: len(path)] == path for line in LINES)}
    assert every - shown == set()


def test_no_command_passes_on_what_a_terminal_obeys(filled: Filled) -> None:
    names = {"TRAINING": filled.training, "FAILED": filled.failed, "JOB": filled.job}
    told = 0
    for line in LINES:
        out, err = called([names.get(word, word) for word in line])
        for text in (out, err):
            assert not OBEYED.search(text), (line, ascii(text))
            broken = [one for one in text.splitlines() if one.startswith(MARK)]
            assert not broken or "--csv" in line, (line, text)  # within quotes, as RFC 4180 has it
        assert "Traceback" not in err and "bug of mitorch" not in err, (line, err)
        told += MARK in out + err
        if "--json" in line:
            assert out, (line, err)
            json.loads(out)
        if "--csv" in line:
            widths = {len(row) for row in csv.reader(io.StringIO(out))}
            assert len(widths) == 1, line
    assert told > len(LINES) / 2  # it was there to be passed on


def called(arguments: list[str]) -> tuple[str, str]:
    """Runs a command as its process does; returns what its standard output and error got."""
    raw = io.BytesIO(), io.BytesIO()
    out, err = (EscapingStream(one, encoding="utf-8", write_through=True) for one in raw)
    program, *rest = arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        patch.setattr(sys, "argv", [program, *rest])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            call(load(program), f"mi{program}", rest)
    return raw[0].getvalue().decode(), raw[1].getvalue().decode()


def test_what_trains_and_predicts_does_not_either(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of classes and files come with weights and data sets of others. Libraries draw their own bars."""
    raw = io.BytesIO()
    stream = EscapingStream(raw, encoding="utf-8", write_through=True)
    stream.has_bars = True
    stream.write(f"\r 50%{HOSTILE}")
    assert raw.getvalue().startswith(b"\r 50%") and not OBEYED.search(raw.getvalue().decode().replace("\r", ""))
    reporter = PlainReporter()
    reporter.note(HOSTILE)
    reporter.epoch_ended(a_result(1, metrics={HOSTILE: 0.5}))
    show_evaluation({HOSTILE: 0.5})
    Bar().note(HOSTILE)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert MARK in text and not OBEYED.search(text)
        assert not any(line.startswith(MARK) for line in text.splitlines())
    write_json_lines([AnnotatedImage(HOSTILE, 8, 8, labels=(Label(HOSTILE, 0.5),))], sys.stdout)
    written = capsys.readouterr().out
    assert not OBEYED.search(written) and json.loads(written)["image"] == HOSTILE


def test_lines_of_a_program_that_has_no_end_forge_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept in a log: what a message in the queue says, and the traceback of a pass."""
    consume._tell(f"message 1: {HOSTILE}")
    assert_not_obeyed(capsys.readouterr().out)

    events = [Event("a step failed", failed=True, trace=f"Traceback\nError: {HOSTILE}")]
    controller = SimpleNamespace(tick=lambda now: SimpleNamespace(events=events))
    monkeypatch.setattr(control_run, "open_controller", lambda *_: controller)
    _, err = called(["control"])
    assert_not_obeyed(err)
    assert "Traceback" in err


@pytest.fixture(scope="module")
def browser(filled: Filled) -> TestClient:
    backends = {"gpu-west": FakeBackend("gpu-west")}
    backends["gpu-west"].log_texts = dict.fromkeys([f"mt-{filled.failed}-a1"], HOSTILE)
    artifacts = FolderArtifactStore(filled.folder / "home" / "artifacts")
    context = Context(
        read_settings(), lambda: filled.store, lambda: artifacts, lambda: backends, given_clock=lambda: NOW
    )
    return TestClient(create_app(context, Policy(TOKEN)), base_url=ADDRESS, headers=BEARER)


ROUTES: tuple[Callable[[Filled], str], ...] = (
    *(lambda f: "/", lambda f: "/trainings?columns=name,tag,note,by,error,metric.val_loss", lambda f: "/jobs"),
    *(lambda f: f"/trainings/{f.training}", lambda f: f"/trainings/{f.failed}", lambda f: f"/jobs/{f.job}"),
    *(lambda f: "/datasets", lambda f: "/datasets/parts", lambda f: "/status", lambda f: "/trainings?group=name"),
    *(lambda f: f"/compare?ids={f.training},{f.failed}", lambda f: "/trainings?q=name:%1b%0aZinjected"),
    *(lambda f: "/api/trainings", lambda f: "/api/queue", lambda f: "/api/status", lambda f: "/api/datasets"),
    *(lambda f: f"/api/trainings/{f.training}", lambda f: f"/api/trainings/{f.failed}", lambda f: f"/api/jobs/{f.job}"),
    *(lambda f: f"/api/trainings/{f.failed}/log", lambda f: f"/api/events/trainings/{f.failed}"),
    *(lambda f: f"/api/trainings/{f.training}/curve", lambda f: f"/api/jobs/{f.job}/leaderboard"),
    *(lambda f: "/api/trainings/export?format=csv", lambda f: "/api/trainings/export?format=jsonl"),
    *(lambda f: f"/api/trainings/{f.training}/export", lambda f: "/api/suggest?where=by:"),
    *(lambda f: "/trainings/%1b%5b2J%0aZinjected", lambda f: "/api/trainings/%1b%5b2J%c2%9b"),
)


def test_no_page_and_no_answer_of_the_api_does(filled: Filled, browser: TestClient) -> None:
    told = 0
    for route in ROUTES:
        path = route(filled)
        answer = browser.get(path, follow_redirects=True)
        assert answer.status_code in (200, 400, 404, 422), (path, answer.text[:1000])
        text = re.sub(r"\r\n", "\n", answer.text)  # RFC 4180 ends its lines so
        found = OBEYED.search(text)
        assert not found, (path, found and ascii(text[found.start() - 60 : found.end() + 60]))
        told += MARK in text
        if path.startswith("/api") and not re.search("/export|/log|/events", path):
            answer.json()
    assert told > len(ROUTES) / 2

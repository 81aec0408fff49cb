"""The log of the Azure Function: whatever names and errors hold, a line of it is one that the Function has written."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import azure.functions as func
import pytest

from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_store
from tests.fakes import primitives
from tests.hostile_text import HOSTILE, MARK, assert_not_obeyed

APP = Path(__file__).parents[3] / "functions" / "function_app.py"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name in ("HOME", "MITORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    loggers = {name: logging.getLogger(name) for name in ("mitorch", "azure")}
    before = {name: (logger.level, list(logger.filters)) for name, logger in loggers.items()}
    spec = importlib.util.spec_from_file_location("function_app_of_test", APP)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name, (level, filters) in before.items():
        loggers[name].setLevel(level)
        loggers[name].filters[:] = filters


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The output of a handler of the host."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logging.root.addHandler(handler)
    yield text
    logging.root.removeHandler(handler)


def run_pass(app: ModuleType) -> None:
    functions = {function.get_function_name(): function.get_user_function() for function in app.app.get_functions()}
    run: Callable[[func.TimerRequest], None] = functions["micontrol"]
    run(func.timer.TimerRequest())


def test_a_name_in_a_pass_forges_no_line(app: ModuleType, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MITORCH_CLUSTERS", '[{"name": "here", "kind": "local", "slots": 0}]')
    store = open_store(read_settings(), create=True)
    primitives(store).insert("trainings", [{"_id": f"1{HOSTILE}", "status": "new", "priority": HOSTILE}])
    store.close()
    run_pass(app)
    assert_not_obeyed(log.getvalue())
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert lines[-1]["event"] == "pass"
    assert [line["event"] for line in lines if MARK in json.dumps(line)] == ["failure"]


def test_what_a_failure_quotes_forges_no_line(
    app: ModuleType, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host logs the exception, too."""
    monkeypatch.setenv("MITORCH_CLUSTERS", json.dumps([{"name": "a", "kind": "local", HOSTILE: HOSTILE}]))
    with pytest.raises(app.PassFailed) as raised:
        run_pass(app)
    assert_not_obeyed(str(raised.value))
    assert "\n" not in str(raised.value)
    assert_not_obeyed(log.getvalue())
    assert json.loads(log.getvalue())["event"] == "failure"


def test_neither_does_what_the_product_logs_within_a_pass(app: ModuleType, log: io.StringIO) -> None:
    logging.getLogger("mitorch").warning("the counts of %s are off: %s", HOSTILE, "DEL \x7f")
    assert_not_obeyed(log.getvalue())


def test_the_health_check_answers_visible_json(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MITORCH_CLUSTERS", json.dumps([{"name": "a", "kind": "local", HOSTILE: HOSTILE}]))
    functions = {function.get_function_name(): function.get_user_function() for function in app.app.get_functions()}
    answer = functions["health"](func.HttpRequest("GET", "/api/health", body=b""))
    assert answer.status_code == 503
    assert_not_obeyed(answer.get_body().decode())

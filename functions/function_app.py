"""The controller as an Azure Function: a pass on a timer, and a health check over HTTP.

The host runs a timer on one instance of the app at a time (a lease on a blob, `singleton` in host.json). That does not
cover a second app on the same database, or a lost lease, but overlapping passes do no harm.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import azure.functions as func

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.timed_pass import last_pass, timed_pass
from mitorch_service.errors import MiTorchError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts, open_backends, open_store, open_translation
from mitorch_service.wording.control_characters import log_text, one_line

EVERY_FIVE_MINUTES = "0 */5 * * * *"
_EVERY_SECONDS = 300.0
# The host replaces %NAME% by the app setting of this name, and refuses an app that refers to a missing one.
SCHEDULE = "%MITORCH_SCHEDULE%" if os.environ.get("MITORCH_SCHEDULE") else EVERY_FIVE_MINUTES
_USABLE = 0.7  # fraction of the host's time limit; the rest is for operations in progress, which are not interrupted


class _Visible(logging.Filter):
    """Shows control characters of names and errors in what is logged, and lets no line break in one begin a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = log_text(record.getMessage()), None
        return True


_log = logging.getLogger("mitorch")
_log.addFilter(_Visible())
_log.setLevel(logging.INFO)
logging.getLogger("azure").setLevel(logging.WARNING)  # else its clients log every request

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


class PassFailed(Exception):
    """The exception for the host, which logs it with its causes; it has no cause, and its message is masked."""


@app.timer_trigger(arg_name="timer", schedule=SCHEDULE, run_on_startup=False, use_monitor=True)
def micontrol(timer: func.TimerRequest) -> None:
    """Runs a pass of the controller."""
    started = time.monotonic()
    try:
        end = started + _USABLE * host_seconds(os.environ)
        _one_pass(timer.past_due, lambda: time.monotonic() < end)
    except Exception as error:  # noqa: BLE001 - every error is reported to the host, without credentials
        words = mask_secrets(str(error) or type(error).__name__)
        known = isinstance(error, MiTorchError)
        detail = {} if known else {"traceback": mask_secrets("".join(traceback.format_exception(error)))}
        line = {"event": "failure", "type": type(error).__name__, "text": words, **detail}
        _log.error(json.dumps(line))
        raise PassFailed(one_line(f"{type(error).__name__}: {words}")) from None


@app.route(route="health", methods=["GET"])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Returns whether the database and the storage answer (status 200, else 503), and the report of the last pass."""
    answer: dict[str, object] = {"ok": True}
    try:
        settings = read_settings()
        answer["clusters"] = [cluster.name for cluster in settings.clusters]
        with closing(open_store(settings)) as store:
            answer["database"] = mask_secrets(store.ping())
        answer["last_pass"] = last_pass(open_artifacts(settings))
    except MiTorchError as error:
        answer |= {"ok": False, "error": mask_secrets(str(error))}
    return func.HttpResponse(json.dumps(answer), status_code=200 if answer["ok"] else 503, mimetype="application/json")


def host_seconds(environ: Mapping[str, str]) -> float:
    """Returns the host's time limit for a function: `functionTimeout` of host.json or of the overriding app setting."""
    text = environ.get("AzureFunctionsJobHost__functionTimeout")
    if not text:
        text = str(json.loads((Path(__file__).parent / "host.json").read_text("utf-8"))["functionTimeout"])
    if text == "-1":
        return float("inf")
    days, _, clock = text.rpartition(".")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60.0 + seconds


def _one_pass(past_due: bool, in_time: Callable[[], bool]) -> None:
    _writable_home()
    settings = read_settings()
    with closing(open_store(settings, create=True)) as store:  # the process is reused: connections must be closed
        artifacts = open_artifacts(settings)
        every = _EVERY_SECONDS if SCHEDULE == EVERY_FIVE_MINUTES else None
        backends = open_backends(settings)
        hooks, policy = settings.webhooks, settings.placement
        translate = open_translation(settings, store)
        controller = Controller(store, backends, settings.clusters, artifacts, every, hooks, translate, policy=policy)
        timed_pass(controller, artifacts, store.now, in_time, _log_line, past_due)


def _log_line(line: Mapping[str, object]) -> None:
    """Logs a line of JSON; failures as warnings, for alerts."""
    level = logging.WARNING if line["event"] == "failure" else logging.INFO
    _log.log(level, json.dumps(line))


def _writable_home() -> None:
    """Sets HOME to a writable folder for azureml-core's caches, because an app's home may be missing or read-only."""
    home = Path.home()
    if not (home.is_dir() and os.access(home, os.W_OK)):
        os.environ["HOME"] = tempfile.mkdtemp(prefix="mitorch-home-")

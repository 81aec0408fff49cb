"""The controller as an Azure Function: a pass on a timer, and whether it is well over HTTP.

The host runs a timer on one instance of the app at a time (a lease on a blob, `singleton` in host.json). That covers
this app only: not a second app on the same database, nor a lease that is lost. Overlapping passes do no harm anyway.
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
from datetime import UTC, datetime
from pathlib import Path

import azure.functions as func

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.timed_pass import last_pass, timed_pass
from mitorch_service.errors import MiTorchError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_artifacts, open_backends, open_store

EVERY_FIVE_MINUTES = "0 */5 * * * *"
# The host looks up %NAME% in the app's settings and refuses an app that names one which is not there.
SCHEDULE = "%MITORCH_SCHEDULE%" if os.environ.get("MITORCH_SCHEDULE") else EVERY_FIVE_MINUTES
_USABLE = 0.7  # of the host's limit; the rest is for what is under way by then, which is never cut off

_log = logging.getLogger("mitorch")
_log.setLevel(logging.INFO)
logging.getLogger("azure").setLevel(logging.WARNING)  # its clients would log every request

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


class PassFailed(Exception):
    """What the host is told. It logs an exception with its causes: this one has none, and its words are masked."""


@app.timer_trigger(arg_name="timer", schedule=SCHEDULE, run_on_startup=False, use_monitor=True)
def control(timer: func.TimerRequest) -> None:
    """One pass of the controller."""
    started = time.monotonic()
    try:
        end = started + _USABLE * host_seconds(os.environ)
        _one_pass(timer.past_due, lambda: time.monotonic() < end)
    except Exception as error:  # noqa: BLE001 - whatever it is, the host is told, without credentials
        words = mask_secrets(str(error) or type(error).__name__)
        known = isinstance(error, MiTorchError)
        detail = {} if known else {"traceback": mask_secrets("".join(traceback.format_exception(error)))}
        line = {"event": "failure", "type": type(error).__name__, "text": words, **detail}
        _log.error(json.dumps(line))
        raise PassFailed(f"{type(error).__name__}: {words}") from None


@app.route(route="health", methods=["GET"])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Whether the database and the storage answer (200, else 503), and what the last pass did."""
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
    """How long the host lets a function run: `functionTimeout` of host.json, or the app setting that overrides it."""
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
    with closing(open_store(settings)) as store:  # the process lives on: what it opens must not add up
        artifacts = open_artifacts(settings)
        controller = Controller(store, open_backends(settings), settings.clusters, artifacts)
        timed_pass(controller, artifacts, lambda: datetime.now(UTC), in_time, _tell, past_due)


def _tell(line: Mapping[str, object]) -> None:
    """One line of JSON; what went wrong is a warning, so that it can be alerted on."""
    level = logging.WARNING if line["event"] == "failure" else logging.INFO
    _log.log(level, json.dumps(line))


def _writable_home() -> None:
    """azureml-core keeps caches in the home folder, and an app's may be missing or read-only."""
    home = Path.home()
    if not (home.is_dir() and os.access(home, os.W_OK)):
        os.environ["HOME"] = tempfile.gettempdir()

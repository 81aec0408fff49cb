"""One pass within a limit of time, told in lines of JSON, and remembered for whoever asks how the controller is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.pass_report import Counted, PassReport
from mitorch_service.errors import ArtifactError
from mitorch_service.models.secrets import mask_secrets

_KEY = "controller/last_pass.json"


def timed_pass(
    controller: Controller,
    artifacts: ArtifactStore,
    clock: Callable[[], datetime],
    in_time: Callable[[], bool],
    log: Callable[[dict[str, Any]], object],
    past_due: bool = False,
) -> PassReport:
    """One pass, for as long as `in_time` says. Logs a line for each failure, and then one with what was done; the
    latter is stored for `last_pass`. No line holds a secret. Raises StoreUnavailable, as `tick` does."""
    started = clock()
    report = controller.tick(started, in_time)
    for event in report.events:
        if event.failed:
            log({"event": "failure", "text": event.text})
    line = {"event": "pass", "at": started.isoformat(), "past_due": past_due, **summary(report)}
    line["seconds"] = round((clock() - started).total_seconds(), 3)
    try:
        _remember(artifacts, line)
    except ArtifactError as error:
        log({"event": "failure", "text": mask_secrets(str(error))})
    log(line)
    return report


def summary(report: PassReport) -> dict[str, Any]:
    """The counts of a pass: what it did by kind, what it could not do, and what it saw."""
    seen = report.snapshot
    return {
        **{kind.value: report.count(kind) for kind in Counted},
        "failures": sum(event.failed for event in report.events),
        "clusters_down": sorted(seen.configured - set(seen.clusters)),
        "active": len(seen.active),
        "jobs": len(seen.jobs),
        "complete": report.complete,
    }


def last_pass(artifacts: ArtifactStore) -> dict[str, Any] | None:
    """The line of the last pass that came to its end, wherever; None before the first. Raises ArtifactError."""
    if not artifacts.exists(_KEY):
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "last_pass.json"
        artifacts.get(_KEY, copy)
        try:
            line: dict[str, Any] = json.loads(copy.read_text("utf-8"))
        except ValueError as error:
            raise ArtifactError(_KEY, "the artifact store", f"is not JSON ({error}): delete it") from error
    return line


def _remember(artifacts: ArtifactStore, line: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "last_pass.json"
        source.write_text(json.dumps(line), "utf-8")
        artifacts.put(_KEY, source)

"""One pass within a time limit, logged as lines of JSON, with its counts stored for status queries."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.pass_report import PassCount, PassReport
from mitorch_service.controller.plan.leaked_runs import leak_fields
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import ArtifactError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.training import Attempt, TrainingRow

_KEY = "controller/last_pass.json"
_MOST_LINES = 100  # of trainings without a run: a whole cluster may have gone


def timed_pass(
    controller: Controller,
    artifacts: ArtifactStore,
    clock: Callable[[], datetime],
    in_time: Callable[[], bool],
    log: Callable[[dict[str, JsonValue]], object],
    past_due: bool = False,
) -> PassReport:
    """Runs one pass for as long as `in_time` returns True. Logs a line for each failure, then one with the counts,
    which is stored for `last_pass`. No line holds a secret. Raises StoreUnavailable, as `tick` does."""
    started = clock()
    report = controller.tick(started, in_time)
    for event in report.events:
        if event.failed:
            trace: dict[str, JsonValue] = {} if event.trace is None else {"traceback": event.trace}
            log({"event": "failure", "text": event.text, **trace})
    for leak in report.snapshot.leaks:
        log({"event": "leak", **leak_fields(leak, started)})
    for row, attempt in islice(_without_run(report.snapshot), _MOST_LINES):
        fields: dict[str, JsonValue] = {"training": row.id, "status": row.status.value, "attempt": attempt.number}
        log({"event": "without_run", **fields, "run": attempt.run_name, "cluster": attempt.cluster})
    line: dict[str, JsonValue] = {"event": "pass", "at": started.isoformat(), "past_due": past_due, **summary(report)}
    line["seconds"] = round((clock() - started).total_seconds(), 3)
    try:
        _store(artifacts, line)
    except (ArtifactError, OSError) as error:  # OSError: the temporary folder cannot be written
        log({"event": "failure", "text": mask_secrets(str(error))})
    log(line)
    return report


def summary(report: PassReport) -> dict[str, JsonValue]:
    """Returns the counters of a pass, its failures, and the numbers of what it saw."""
    seen = report.snapshot
    down: list[JsonValue] = [*sorted(seen.configured - set(seen.clusters))]
    return {
        **{counter.value: report.count(counter) for counter in PassCount},
        "failures": sum(event.failed for event in report.events),
        "clusters_down": down,
        "active": len(seen.active),
        "jobs": len(seen.jobs),
        "leaks": len(seen.leaks),
        "without_run": sum(1 for _ in _without_run(seen)),
        "complete": report.complete,
    }


def _without_run(seen: Snapshot) -> Iterator[tuple[TrainingRow, Attempt]]:
    """The trainings whose clusters have no such run: this pass or the next one submits it again, or gives it up."""
    for row in seen.active:
        attempt = row.current_attempt()
        if attempt is not None and seen.runs.get(attempt.run_name, attempt) is None:
            yield row, attempt


def last_pass(artifacts: ArtifactStore) -> dict[str, JsonValue] | None:
    """Returns the line of the last pass that came to its end, on any machine; None before the first. Raises
    ArtifactError."""
    if not artifacts.exists(_KEY):
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "last_pass.json"
        artifacts.get(_KEY, copy)
        try:
            line = json.loads(copy.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ArtifactError(_KEY, "the artifact store", f"is not JSON ({error}): delete it") from error
    if not isinstance(line, dict):
        raise ArtifactError(_KEY, "the artifact store", "is no JSON object: delete it")
    return line


def _store(artifacts: ArtifactStore, line: dict[str, JsonValue]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "last_pass.json"
        source.write_text(json.dumps(line), "utf-8")
        artifacts.put(_KEY, source)

"""A timer trigger: six fields, the seconds first; what was missed while no host ran is made up for once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from azure.functions.timer import TimerRequest
from croniter import croniter

from tests.functions_host.app import Function, FunctionApp


class Timer:
    """One timer of one app. It never overlaps with itself."""

    def __init__(self, app: FunctionApp, function: Function, state: Path) -> None:
        self._app, self._function, self._state = app, function, state
        self._schedule = str(function.bindings[0]["schedule"])
        if len(self._schedule.split()) != 6:
            raise ValueError(f"the schedule {self._schedule!r} of {function.name} needs six fields")

    def run(self) -> None:
        """For ever."""
        if self._was_missed(datetime.now(UTC)):
            self._fire(past_due=True)
        while True:
            due = self._next(datetime.now(UTC))
            self._state.write_text(json.dumps({"next": due.isoformat()}))
            time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            self._fire(past_due=False)

    def _fire(self, past_due: bool) -> None:
        request = TimerRequest(past_due=past_due, schedule={"AdjustForDST": True})
        self._app.invoke(self._function, request, past_due=past_due, at=datetime.now(UTC).isoformat())

    def _was_missed(self, now: datetime) -> bool:
        if not (self._function.bindings[0].get("useMonitor") and self._state.exists()):
            return False
        return datetime.fromisoformat(json.loads(self._state.read_text())["next"]) < now

    def _next(self, now: datetime) -> datetime:
        due: datetime = croniter(self._schedule, now, ret_type=datetime, second_at_beginning=True).get_next()
        return due

"""The heartbeat of the controllers: the last pass of any of them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from mitorch_service.models.base import Document, UtcTime

HEARTBEAT_ID = "controller"
_USUAL_SECONDS = 300.0  # between single passes, whose timer is not known
_SLACK = timedelta(seconds=30)  # for the pass itself, and the clocks


class Heartbeat(Document):
    """A document of the collection `controllers`, which has one: the last pass that came to its end."""

    stored_as: ClassVar[str] = "heartbeat"

    id: str = HEARTBEAT_ID
    at: UtcTime
    every: float | None = None  # seconds between the passes; None: a timer elsewhere decides
    machine: str
    process: int
    complete: bool = True  # whether it had time for everything
    failures: int = 0

    def interval(self) -> timedelta:
        """Returns the time after which another pass should have been made: two intervals, and some seconds."""
        return 2 * timedelta(seconds=self.every or _USUAL_SECONDS) + _SLACK


def pass_text(last: Heartbeat | None, now: datetime) -> str:
    """Returns when and where the last pass was made."""
    if last is None:
        return "no pass yet"
    return f"last pass {last.at:%Y-%m-%d %H:%M:%S} UTC ({_ago(now - last.at)} ago) {_where(last)}"


def missing_controller(last: Heartbeat | None, now: datetime) -> str | None:
    """Returns the fact and the remedy if no controller has made a pass for longer than its interval; else None."""
    remedy = "nothing starts or ends without one: run micontrol run, or a timer (docs/operations.md)"
    if last is None:
        return f"no controller has made a pass yet; {remedy}"
    if now - last.at <= last.interval():
        return None
    when = f"{last.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"no controller has made a pass for {_ago(now - last.at)} (the last {when} {_where(last)}); {remedy}"


def _where(last: Heartbeat) -> str:
    every = "" if last.every is None else f", one every {last.every:g} s"
    return f"on {last.machine}{every}"


def _ago(time: timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"

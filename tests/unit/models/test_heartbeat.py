"""The heartbeat: when the next pass is missed, and what is said then."""

from __future__ import annotations

import pytest

from mitorch_service.models.heartbeat import Heartbeat, missing_controller, pass_text
from tests.samples import NOW, later


@pytest.mark.parametrize(("every", "late"), [(1.0, 33), (60.0, 151), (300.0, 631), (None, 631)])
def test_a_pass_is_missed_after_two_intervals(every: float | None, late: float) -> None:
    last = Heartbeat(at=NOW, every=every, machine="box", process=7)
    assert missing_controller(last, later(late - 2)) is None
    told = missing_controller(last, later(late)) or ""
    assert "no controller has made a pass for" in told
    assert "2026-11-20 12:30:15 UTC" in told
    assert "on box" in told
    assert "micontrol run" in told


def test_before_the_first_pass() -> None:
    assert pass_text(None, NOW) == "no pass yet"
    assert (missing_controller(None, NOW) or "").startswith("no controller has made a pass yet; nothing starts")


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (119, "119 s"), (7199, "119 min"), (172799, "47 h"), (172800, "2 d")]
)
def test_ages_are_told_in_one_unit(seconds: float, words: str) -> None:
    assert f"({words} ago)" in pass_text(Heartbeat(at=NOW, machine="box", process=7), later(seconds))

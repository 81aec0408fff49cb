"""Ages that people write."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mitorch_service.models.durations import parse_age


@pytest.mark.parametrize(
    ("text", "hours"), [("1h", 1), ("180d", 4320), ("2w", 336), ("6m", 4320), (" 3D ", 72), ("0d", 0)]
)
def test_ages(text: str, hours: int) -> None:
    assert parse_age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "180", "d", "-1d", "1.5d", "1y", "1 d", "٣d", "999999w", "1d2h"])
def test_a_wrong_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 180d|hundred years"):
        parse_age(text)

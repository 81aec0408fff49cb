"""Thinned curves: fewer points, and nothing lost that people look for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mitorch_service.insights.training.thinning import thin

VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.nan))


@given(y=st.lists(VALUES, min_size=1, max_size=400), most=st.integers(5, 60))
def test_the_ends_and_the_extremes_are_kept(y: list[float | None], most: int) -> None:
    x = [float(index) for index in range(len(y))]
    kept = thin(x, y, most)
    assert kept == sorted(set(kept))
    assert len(kept) <= most or len(y) <= most
    assert {0, len(y) - 1} <= set(kept)
    finite = [value for value in y if value is not None and math.isfinite(value)]
    shown = [value for index in kept if (value := y[index]) is not None and math.isfinite(value)]
    if finite:
        assert (min(shown), max(shown)) == (min(finite), max(finite))


@given(y=st.lists(VALUES, min_size=10, max_size=300), most=st.integers(20, 60))
def test_each_column_shows_its_range_as_a_plain_scan_finds_it(y: list[float | None], most: int) -> None:
    """Against a second implementation: every column by itself."""
    x = [float(index) for index in range(len(y))]
    kept = set(thin(x, y, most))
    columns = (most - 2) // 3
    if len(y) <= most:
        return
    width = (x[-1] - x[0]) / columns
    for column in range(columns):
        members = [index for index in range(len(y)) if min(columns - 1, int(x[index] / width)) == column]
        known = [(value, index) for index in members if (value := y[index]) is not None and math.isfinite(value)]
        if known:
            shown = [y[index] for _, index in known if index in kept]
            assert min(known)[0] in shown
            assert max(known)[0] in shown


def test_a_peak_of_one_step_in_ten_thousand_is_shown() -> None:
    y: list[float | None] = [0.0] * 10_000
    y[7_311] = 5.0
    assert 7_311 in thin([float(index) for index in range(10_000)], y, 300)

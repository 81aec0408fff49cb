"""Costs as they are printed."""

from __future__ import annotations

import pytest

from mitorch_service.cli.views.cost import show_costs
from mitorch_service.controller.observe.cost import Bill, Cost
from mitorch_service.insights.cost import CostReport, cost_fields, hours_text
from tests.samples import NOW


def test_without_a_price_no_cost_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    hours = Bill(by_cluster={"local": Cost(2.0)}, total=Cost(2.0))
    show_costs(CostReport(NOW, hours, 0))
    out = capsys.readouterr().out
    assert "# node hours by cluster\nCLUSTER  NODE_HOURS\nlocal    2.00\n" in out
    assert "2.00 node hours (no price is set in MITORCH_CLUSTERS)" in out
    assert ("cost", None) in cost_fields(Cost(2.0))
    show_costs(CostReport(NOW, Bill(by_cluster={"local": Cost(2.0, 1.5)}, total=Cost(2.0, 1.5)), 0))
    assert "# cost by cluster\nCLUSTER  NODE_HOURS  COST\nlocal    2.00        1.50\n" in capsys.readouterr().out


def test_hours_of_a_few_seconds_are_no_zero() -> None:
    assert [hours_text(hours) for hours in (0, 10 / 3600, 0.0999, 0.1, 1234.567)] == [
        "0.00",
        "0.0028",
        "0.1",
        "0.10",
        "1234.57",
    ]

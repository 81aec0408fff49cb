"""Prints what became of an evicted run (`micontrol drill`)."""

from __future__ import annotations

from dataclasses import asdict

from mitorch_service.cli.views.pages.output import show_fields, show_json
from mitorch_service.operations.drill import DrillReport
from mitorch_service.wording.counted import counted
from mitorch_service.wording.elapsed import seconds_text


def show_drill(cluster: str, report: DrillReport) -> None:
    """Prints the times, and whether the curve is the same."""
    lost = None if report.lost is None else f"{report.lost / 60:.1f} minutes"
    curve = f"the same, {counted(report.epochs, 'epoch')}" if report.difference is None else report.difference
    resumed = "not" if report.first_new_epoch is None else f"its first new epoch was {report.first_new_epoch}"
    show_fields(
        [
            ("drill", "passed" if report.passed else "FAILED"),
            ("cluster", cluster),
            ("evicted", f"training {report.evicted}, after {counted(report.evicted_after, 'epoch')}"),
            ("attempts", ", ".join(report.outcomes)),
            ("noticed after", _text(report.noticed)),
            ("waited", _text(report.waited)),
            ("resumed", resumed),
            ("lost", lost),
            ("curve", f"{curve} (beside training {report.undisturbed})"),
        ]
    )


def show_drill_json(cluster: str, report: DrillReport) -> None:
    """Prints the same as one JSON document."""
    show_json({"cluster": cluster, "passed": report.passed, **asdict(report)})


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else seconds_text(seconds)

"""Findings in words."""

from __future__ import annotations

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.search.search_effort import Effort
from mitorch_service.insights.search.search_findings import Share, importance_finding, progress_finding, saving_finding
from mitorch_service.insights.search.search_history import Improvement, TrialPoint
from mitorch_service.models.status import JobStatus, TrainingStatus


def run(values: list[float]) -> list[Improvement]:
    """The results of a search that minimizes, trial by trial."""
    found, best = [], float("inf")
    for number, value in enumerate(values):
        trial = TrialPoint(number, str(number), TrainingStatus.COMPLETED, (value,), None, {}, 1, 1, None, None, Cost())
        found.append(Improvement(trial, value, min(best, value), value < best, None, 0.0))
        best = min(best, value)
    return found


def test_a_search_that_still_improves_is_told_from_one_that_does_not() -> None:
    improving = run([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02])
    words = progress_finding(improving, JobStatus.RUNNING, "minimize")
    assert words == "It still improves: the last 3 results took the best from 0.2 to 0.02."
    ended = progress_finding(improving, JobStatus.COMPLETED, "minimize")
    assert ended is not None and ended.endswith("More trials may be worth it.")
    flat = run([1.0, 0.1, *[0.5] * 10])
    words = progress_finding(flat, JobStatus.COMPLETED, "minimize")
    assert words == "The best value did not improve for the last 10 results (trial 1: 0.1)."
    assert progress_finding(flat[:5], JobStatus.RUNNING, "minimize") is None


def test_what_mattered_most_is_only_certain_without_overlap() -> None:
    clear = {"lr": Share(0.8, 0.7, 0.9), "decay": Share(0.2, 0.1, 0.3)}
    assert importance_finding(clear, "val_loss") == "lr mattered most: 80% of the variation of val_loss."
    unclear = {"lr": Share(0.5, 0.2, 0.9), "decay": Share(0.4, 0.1, 0.6)}
    assert importance_finding(unclear, "val_loss") == (
        "lr mattered most: 50% of the variation of val_loss, but decay may matter as much (10% to 60%)."
    )
    assert importance_finding({}, "val_loss") is None


def test_what_early_stopping_saved_is_told() -> None:
    saved = saving_finding(Effort(60, 100, 4, 3.0, 5.0))
    assert saved == "Early stopping ended 4 trials and saved 40% of the epochs, about 2 node hours."
    assert saving_finding(Effort(60, 60, 0, None, None)) is None

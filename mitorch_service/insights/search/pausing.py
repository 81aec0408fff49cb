"""The state of paused trials in words."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.models.training import Training


def counts_text(counts: Mapping[str, int]) -> str:
    """``3 completed, 12 paused``"""
    return ", ".join(f"{n} {status}" for status, n in counts.items()) or "none yet"


def pausing_fields(training: Training) -> list[tuple[str, object]]:
    """The epoch after which a trial pauses, or has paused."""
    trial = training.trial
    if trial is None or trial.pause_at is None:
        return []
    return [("paused" if training.is_paused() else "pauses", f"after epoch {trial.pause_at} of {training.max_epochs}")]

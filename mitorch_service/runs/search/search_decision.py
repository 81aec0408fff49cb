"""A search's decision that the attempt of a trial ends before its last epoch."""

from __future__ import annotations

from dataclasses import dataclass

from mitorch_service.models.status import AttemptOutcome


@dataclass(frozen=True)
class SearchDecision:
    """The outcome with which the attempt ends, and the reason that it shows."""

    outcome: AttemptOutcome
    reason: str


def pruned(epoch: int, better: int, others: int) -> SearchDecision:
    """Stops the trial early, for good: `better` of the `others` that reached this epoch did better."""
    reason = f"stopped early after epoch {epoch}: {better} of {others} others did better"
    return SearchDecision(AttemptOutcome.PRUNED, reason)


def paused(epoch: int, max_epochs: int) -> SearchDecision:
    """Pauses the trial after an epoch until its search resumes it."""
    reason = f"paused after epoch {epoch} of {max_epochs} until its search resumes it"
    return SearchDecision(AttemptOutcome.PAUSED, reason)

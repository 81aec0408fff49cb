"""The ends that the webhooks want to be told, together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.webhook_settings.webhook import EventKind, Webhook

# With their end the conditions of jobs are forgotten.
_OF_JOBS = (EventKind.JOB_COMPLETED, EventKind.JOB_FAILED, EventKind.JOB_CANCELED, EventKind.JOB_LIMIT)
_OF_TRAININGS = (
    EventKind.TRAINING_COMPLETED,
    EventKind.TRAINING_FAILED,
    EventKind.TRAINING_LOST,
    EventKind.TRAINING_DIVERGED,
)


@dataclass(frozen=True)
class Wanted:
    """The ends that are marked to be announced; without webhooks none, which costs nothing."""

    jobs: bool = False
    trainings: bool = False  # that are of no search
    trials: bool = False  # and final trainings

    @classmethod
    def by(cls, webhooks: Sequence[Webhook]) -> Wanted:
        """Returns what at least one of the webhooks wants."""
        return cls(
            any(hook.wants(kind) for hook in webhooks for kind in _OF_JOBS),
            any(hook.wants(kind) for hook in webhooks for kind in _OF_TRAININGS),
            any(hook.wants(kind, of_search=True) for hook in webhooks for kind in _OF_TRAININGS),
        )

    def training(self, of_search: bool) -> bool:
        """Whether the end of a training is to be announced."""
        return self.trials if of_search else self.trainings


NOTHING = Wanted()  # without webhooks

"""A webhook, and the kinds of events that it may want.

Every command imports this, so it is no pydantic model, whose making takes longer than all the rest here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

Kind = Literal["slack", "teams", "json"]


class EventKind(StrEnum):
    """The kind of an event. In settings `job`, `training` and `cluster` stand for all that begin so."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_LIMIT = "job.limit"  # its budget (max_cost) is spent, or its time (max_time) over
    TRAINING_COMPLETED = "training.completed"
    TRAINING_FAILED = "training.failed"
    TRAINING_LOST = "training.lost"  # failed, because the infrastructure ended its last attempt
    TRAINING_DIVERGED = "training.diverged"
    CLUSTER_REFUSING = "cluster.refusing"  # it refuses trainings, or rests because its runs cannot write
    CLUSTER_LEAK = "cluster.leak"  # its nodes are busy without a training of ours
    TEST = "test"  # on request


SELECTABLE = tuple(kind.value for kind in EventKind if kind != EventKind.TEST)
GROUPS = tuple(dict.fromkeys(kind.partition(".")[0] for kind in SELECTABLE))


@dataclass(frozen=True)
class Webhook:
    """An address to which notifications are posted."""

    name: str
    kind: Kind
    url: SecretStr
    events: tuple[str, ...] = GROUPS
    trials: bool = False  # whether the trials of searches count among the trainings
    secret: SecretStr | None = None  # of the signature; of kind json only

    @property
    def host(self) -> str:
        """The host of the address, which is no secret."""
        return urlsplit(self.url.get_secret_value()).hostname or ""

    def wants(self, kind: EventKind, of_search: bool = False) -> bool:
        """Whether it gets notifications of this kind; `of_search`: of a trial or final training."""
        if kind == EventKind.TEST:
            return True
        if of_search and not self.trials:
            return False
        return kind.value in self.events or kind.value.partition(".")[0] in self.events

    def key(self) -> bytes:
        """Returns the key of the signature: what follows ``whsec_`` in base64, else the secret as it is."""
        text = "" if self.secret is None else self.secret.get_secret_value()
        return _key(text)


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()

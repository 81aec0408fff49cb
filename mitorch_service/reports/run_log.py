"""Reads the log of an attempt from the cluster that ran it."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.backends.base import Backend
from mitorch_service.errors import NotFound
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.stores.base import Store


def read_log(store: Store, backends: Mapping[str, Backend], id: str, number: int | None) -> str:
    """The end of the log of attempt `number` (None: the last one), credentials masked. Raises NotFound, AmbiguousId,
    BackendError."""
    kind, whole = store.trainings.resolve_id(id)
    if kind == "job":
        raise NotFound("training", whole, "It is a job: give the id of one of its trials.")
    attempts = store.trainings.get_training(whole).attempts
    attempt = next((a for a in reversed(attempts) if number in (None, a.number)), None)
    if attempt is None:
        raise NotFound("attempt", f"{number or 1} of training {whole}", f"It has {len(attempts)}.")
    if attempt.cluster not in backends:
        raise NotFound("cluster", attempt.cluster, "It is not in MITORCH_CLUSTERS.")
    return mask_secrets(backends[attempt.cluster].logs(attempt.run_name))

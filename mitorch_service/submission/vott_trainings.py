"""Builds the trainings that messages of a queue ask for."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.training import DEFAULT_PRIORITY, Training
from mitorch_service.stores.base import Store
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.submission.submission import Options, check_submission

_SOURCE = "the message"


def build_training(
    store: Store,
    checks: ConfigCheck,
    id: str,
    config: Mapping[str, JsonValue],
    dataset: DatasetRef | None,
    *,
    name: str | None = None,
    tags: tuple[str, ...] = (),
    priority: int | None = None,
) -> Training:
    """Returns the training with this id, not yet written. Raises what `check_submission` raises."""
    chosen = DEFAULT_PRIORITY if priority is None else priority
    options = Options(priority=chosen, dataset=dataset, name=name, tags=tags)
    submission = check_submission(Lookups(store), _SOURCE, config, dataset, checks)
    document = submission.to_document(id, options, store.now())
    assert isinstance(document, Training)  # no key of a message makes a search
    return document

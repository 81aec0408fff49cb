"""Finds what a person names: by the beginning of an id, or by a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mitorch_service.errors import AmbiguousId, AmbiguousName, BrokenDocument, NotAllowed, NotFound
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind

_REMEDY = "Give an id, the beginning of one, or a whole name; miquery and miquery --jobs list them."
# Why one of several cannot be shown beside the others. A database in trouble is no such reason: it is told as that.
NOT_THERE = (NotFound, AmbiguousId, AmbiguousName, NotAllowed, BrokenDocument)


@dataclass(frozen=True)
class Found:
    """One document by its id, or several by their name."""

    kind: Literal["training", "job", "trainings", "jobs"]
    key: str


def look_up(store: Store, key: str) -> Found:
    """Returns the one training or job whose id starts with `key`, or else those with this name; of a job's name, which
    its trials have too, the job. Raises NotFound, AmbiguousId."""
    try:
        return Found(*store.trainings.resolve_id(key))
    except (NotFound, AmbiguousId) as error:
        named = store.trainings.find_named(key)
        if not named and isinstance(error, NotFound):
            raise NotFound("training or job", key, _REMEDY) from None
        if not named:
            raise
    if len(named) == 1:
        return Found(*named[0])
    return Found("jobs" if all(kind == "job" for kind, _ in named) else "trainings", key)


def look_up_training(store: Store, key: str) -> str:
    """Returns the id of one training. Raises NotFound, AmbiguousId, AmbiguousName; NotAllowed for a job."""
    kind, id = look_up_one(store, key)
    if kind == "job":
        raise NotAllowed("job", id, "no training", "compared", "Give the ids of trainings or trials.")
    return id


def look_up_one(store: Store, key: str) -> tuple[Kind, str]:
    """Returns one training or job and its id. Raises NotFound, AmbiguousId, AmbiguousName."""
    found = look_up(store, key)
    if found.kind == "training" or found.kind == "job":  # noqa: PLR1714 - mypy understands this one
        return found.kind, found.key
    raise AmbiguousName(key, [id for _, id in store.trainings.find_named(key)])

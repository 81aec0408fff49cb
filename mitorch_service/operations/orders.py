"""Orders of people for one training or job or for many: cancel, retry, delete, or change what it is labelled with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.errors import BrokenDocument, InvalidInput, MiTorchError, NotAllowed, NotFound, Problem
from mitorch_service.models.labels import MAX_NAME, MAX_NOTE, check_text, priority_problems
from mitorch_service.operations import lifecycle
from mitorch_service.operations.lifecycle import Change
from mitorch_service.operations.relabel import TagChange, change_tags, set_name, set_note
from mitorch_service.operations.selection import Chosen
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind

Verb = Literal["cancel", "retry", "delete", "change"]


@dataclass(frozen=True)
class Labels:
    """The labels to change of a training or job; what is not in `given` stays."""

    given: frozenset[str] = frozenset()  # of: priority, name, note, tags
    priority: int = 0
    name: str | None = None  # None takes it away
    note: str | None = None
    add_tags: tuple[str, ...] = ()  # each in place of those with its key
    remove_tags: tuple[str, ...] = ()  # keys, or whole tags

    def check(self) -> None:
        """Raises InvalidInput for nothing at all, and for a text that cannot be stored."""
        if not self.given:
            raise InvalidInput("change", [Problem("", "is empty: give priority, name, note, add_tags or remove_tags")])
        TagChange(self.add_tags, self.remove_tags)
        problems = [Problem("priority", problem.message) for problem in priority_problems(self.priority)]
        for field_, text, longest in (("name", self.name, MAX_NAME), ("note", self.note, MAX_NOTE)):
            try:
                check_text(text or "", longest)
            except ValueError as error:
                problems.append(Problem(field_, str(error)))
        if problems:
            raise InvalidInput("change", problems)


@dataclass(frozen=True)
class Order:
    """An action, and the labels that it changes."""

    verb: Verb
    labels: Labels = Labels()


@dataclass(frozen=True)
class Means:
    """Database, clusters and artifacts, which orders need; the last two are opened at their first use."""

    store: Store
    backends: Callable[[], Mapping[str, Backend]]
    artifacts: Callable[[], ArtifactStore]
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class Outcome:
    """The result of an order for many."""

    changed: list[Change] = field(default_factory=list)
    refused: list[tuple[str, MiTorchError]] = field(default_factory=list)  # id, reason
    left: int = 0  # those that there was no time for


def carry_out(means: Means, order: Order, kind: Kind, id: str) -> Change:
    """Carries out an order for one. Raises NotFound, NotAllowed, InvalidInput."""
    if order.verb == "cancel":
        return lifecycle.cancel(means.store, means.backends(), kind, id, means.clock())
    if order.verb == "retry":
        return lifecycle.retry(means.store, kind, id, means.clock())
    if order.verb == "delete":
        return lifecycle.delete(means.store, means.artifacts(), kind, id)
    return change_labels(means.store, order.labels, kind, id)


def carry_out_all(
    means: Means,
    order: Order,
    chosen: Sequence[Chosen],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Carries out an order for each, until the time is over; a refusal stops none of the others."""
    outcome = Outcome()
    end = clock() + seconds
    for done, (kind, id) in enumerate(chosen):
        if clock() > end:
            return Outcome(outcome.changed, outcome.refused, len(chosen) - done)
        try:
            outcome.changed.append(carry_out(means, order, kind, id))
        except (NotAllowed, NotFound, BrokenDocument) as error:
            outcome.refused.append((id, error))
    return outcome


def change_labels(store: Store, labels: Labels, kind: Kind, id: str) -> Change:
    """Changes priority, tags, name and note, the priority first, which can be refused. Raises NotFound, NotAllowed,
    InvalidInput."""
    labels.check()
    changes: list[Change] = []
    if "priority" in labels.given:
        changes.append(lifecycle.prioritise(store, kind, id, labels.priority))
    if "tags" in labels.given:
        changes.append(change_tags(store, kind, id, TagChange(labels.add_tags, labels.remove_tags)))
    if "name" in labels.given:
        changes.append(set_name(store, kind, id, labels.name))
    if "note" in labels.given:
        changes.append(set_note(store, kind, id, labels.note))
    return Change(kind, id, max(change.trials for change in changes))

"""Chooses the view for the arguments of `miquery`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mitorch_service.cli.views.query.base import View
from mitorch_service.stores.base import Store

if TYPE_CHECKING:
    from mitorch_service.cli.views.query.compare import CompareView

_ROWS = 20
_ALL_ROWS = 10_000


@dataclass(frozen=True)
class Choice:
    """The arguments of `miquery` that choose what is shown."""

    keys: Sequence[str] = ()  # ids, beginnings of ids, or names
    status: str | None = None
    job: str | None = None
    dataset: str | None = None
    tag: str | None = None
    name: str | None = None
    jobs: bool = False
    all_trials: bool = False
    limit: int | None = None

    @property
    def rows(self) -> int:
        return self.limit or (_ALL_ROWS if self.all_trials else _ROWS)


def open_view(store: Store, choice: Choice) -> View:
    """The view of one training or job, of several trainings side by side, or of a list. Raises NotFound, AmbiguousId,
    NotAllowed."""
    if len(set(choice.keys)) > 1:
        return open_comparison(store, choice.keys)
    if choice.keys:
        return _open_one(store, choice.keys[0], choice)
    if choice.jobs:
        return _open_jobs(store, choice, choice.name)
    from mitorch_service.cli.views.query.queue import QueueView
    from mitorch_service.insights.waiting.queue import build_filter

    filter = build_filter(store, choice.status, choice.job, choice.dataset, choice.tag, choice.name)
    return QueueView(store, filter, choice.rows)


def open_comparison(store: Store, keys: Sequence[str]) -> CompareView:
    """The view of these trainings side by side. Raises NotFound, AmbiguousId, NotAllowed."""
    from mitorch_service.cli.views.query.compare import CompareView
    from mitorch_service.insights.lookup import look_up_training

    return CompareView(store, list(dict.fromkeys(look_up_training(store, key) for key in keys)))


def _open_one(store: Store, key: str, choice: Choice) -> View:
    from mitorch_service.insights.lookup import look_up

    found = look_up(store, key)
    if found.kind == "training":
        from mitorch_service.cli.views.query.training import TrainingView

        return TrainingView(store, found.key)
    if found.kind == "jobs":
        return _open_jobs(store, choice, found.key)
    if found.kind == "trainings":
        from mitorch_service.cli.views.query.queue import QueueView
        from mitorch_service.stores.verbs.trainings import TrainingFilter

        return QueueView(store, TrainingFilter(name=found.key), choice.rows)
    from mitorch_service.cli.views.query.job import JobView  # loads the searches

    return JobView(store, found.key, choice.rows, choice.all_trials)


def _open_jobs(store: Store, choice: Choice, name: str | None) -> View:
    from mitorch_service.cli.views.query.jobs import JobsView

    return JobsView(store, choice.rows, name)

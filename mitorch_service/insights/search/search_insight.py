"""Analyses a search beside its leaderboard: effort, importance of parameters, warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from importlib.util import find_spec

from mitorch_service.controller.observe.history import records
from mitorch_service.controller.plan.search.expansion import study_of
from mitorch_service.insights.search.search_effort import Effort, effort
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import TrialRow
from mitorch_service.search.analysis.weighing import Shares, weigh_apart
from mitorch_service.search.base import History
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Space, parse_space
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.costs import Account

_MOST_TRIALS = 10_000  # the latest
_NEEDED = ("numpy", "scipy", "optuna", "sklearn")


class SearchInsight:
    """The analysis of one job's trials, which are read once."""

    def __init__(
        self,
        store: Store,
        job: Job,
        now: datetime,
        accounts: Sequence[Account] | None = None,
        rows: Sequence[TrialRow] | None = None,
    ) -> None:
        """`accounts`, `rows`: those of the trials, if they were read."""
        self._job = job
        self._now = now
        self._accounts = accounts
        self._rows = store.jobs.latest_trials(job.id, _MOST_TRIALS) if rows is None else rows
        self._space, problems = parse_space(job.config)
        self._study = study_of(job, self._space)
        self._usable = bool(self._rows and self._space.parameters) and not problems

    @cached_property
    def effort(self) -> Effort:
        """Epochs and time, with and without early stopping."""
        return effort(self._rows, self._accounts, self._now)

    def importance(self, objective: int = 0) -> dict[str, float]:
        """Parameter -> its share of the variation of an objective; empty without the packages, or with few trials."""
        if not self._usable or not all(map(find_spec, _NEEDED)):
            return {}
        from mitorch_service.search.analysis.importance import importance  # Optuna takes half a second
        from mitorch_service.search.samplers.observations import of_objective

        return importance(of_objective(self._history(), objective))

    def importance_apart(self, seconds: float) -> tuple[dict[str, Shares], int]:
        """For each objective, parameter -> its share with the lowest and highest one of the resamples, computed in a
        process of its own; and the number of resamples. Raises RuntimeError."""
        names = self._job.search.objectives()
        if not self._usable or not all(map(find_spec, _NEEDED)):
            return {}, 0
        from mitorch_service.search.samplers.observations import of_objective

        history = self._history()
        found, count = weigh_apart([of_objective(history, index) for index in range(len(names))], seconds)
        return dict(zip(names, found, strict=True)), count

    def importances(self) -> dict[str, dict[str, float]]:
        """The importance for each objective, by its name."""
        return {name: self.importance(index) for index, name in enumerate(self._job.search.objectives())}

    def warnings(self) -> list[str]:
        """One line for each problem of the search."""
        if not self._usable or not all(map(find_spec, ("numpy", "scipy"))):
            return []
        from mitorch_service.search.analysis.search_warnings import search_warnings

        kinds = Counter(row.error.type for row in self._rows if row.status == "failed" and row.error is not None)
        return [*_exhausted(self._space, len(self._rows)), *search_warnings(self._history(), kinds)]

    def _history(self) -> History:
        return History(self._study, records(self._space, self._rows, keep_canceled=False))


def _exhausted(space: Space, trials: int) -> list[str]:
    points = size(space)
    if trials < points:  # which may be infinitely many
        return []
    return [f"all {int(points)} points of the space are tried" if points > 1 else "the only point is tried"]

"""What miquery says of a search beside its leaderboard: what mattered, what was saved, what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from mitorch_service.controller.observe.history import records
from mitorch_service.controller.plan.expansion import study_of
from mitorch_service.models.job import Job
from mitorch_service.reports.search_effort import Effort, effort
from mitorch_service.search.base import History
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Space, parse_space
from mitorch_service.stores.base import Store
from mitorch_service.stores.costs import Account

_MOST_TRIALS = 10_000  # the latest
_SHOWN_PARAMETERS = 8
_NEEDED = ("numpy", "scipy", "optuna", "sklearn")


class SearchInsight:
    """The trials of one job, looked at together; read once."""

    def __init__(self, store: Store, job: Job, accounts: Sequence[Account] | None = None) -> None:
        """`accounts`: of its trials, where they were read."""
        self._job, self._accounts = job, accounts
        self._rows = store.jobs.latest_trials(job.id, _MOST_TRIALS)
        self._space, problems = parse_space(job.config)
        self._study = study_of(job, self._space)
        self._usable = bool(self._rows and self._space.parameters) and not problems

    def fields(self) -> list[tuple[str, Any]]:
        """Lines for a person, by name; None where there is nothing to say."""
        found = self.importances().items()
        shares = [("importance" if len(found) == 1 else f"importance for {name}", _text(of)) for name, of in found]
        return [*self.effort.fields(), *shares, *(("seen", x) for x in self.seen())]

    @cached_property
    def effort(self) -> Effort:
        """What its trials have taken."""
        return effort(self._rows, self._accounts, datetime.now(UTC))

    def importance(self, objective: int = 0) -> dict[str, float]:
        """Parameter -> its share of what makes an objective vary; empty without the packages, or with few trials."""
        if not self._usable or not all(map(find_spec, _NEEDED)):
            return {}
        from mitorch_service.search.analysis.importance import importance  # Optuna takes half a second
        from mitorch_service.search.samplers.observations import of_objective

        return importance(of_objective(self._history(), objective))

    def importances(self) -> dict[str, dict[str, float]]:
        """The same for each objective, by its name."""
        return {name: self.importance(index) for index, name in enumerate(self._job.search.objectives())}

    def seen(self) -> list[str]:
        """A line for each pathology."""
        if not self._usable or not all(map(find_spec, ("numpy", "scipy"))):
            return []
        from mitorch_service.search.analysis.search_warnings import search_warnings

        kinds = Counter(row.error.type for row in self._rows if row.status == "failed" and row.error is not None)
        return [*_exhausted(self._space, len(self._rows)), *search_warnings(self._history(), kinds)]

    def _history(self) -> History:
        return History(self._study, records(self._space, self._rows, keep_canceled=False))


def _text(shares: Mapping[str, float]) -> str | None:
    return ", ".join(f"{key} {share:.0%}" for key, share in list(shares.items())[:_SHOWN_PARAMETERS]) or None


def _exhausted(space: Space, trials: int) -> list[str]:
    points = size(space)
    return [f"all {int(points)} points of the space are tried"] if points < math.inf and trials >= points else []

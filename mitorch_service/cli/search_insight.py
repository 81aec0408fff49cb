"""What miquery says of a search beside its leaderboard: what mattered, what was saved, what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from mitorch_service.controller.expansion import study_of
from mitorch_service.controller.history import records
from mitorch_service.models.job import Job
from mitorch_service.models.training import TrialRow
from mitorch_service.search.base import History
from mitorch_service.search.size import size
from mitorch_service.search.space import Space, parse_space
from mitorch_service.stores.base import Store

_MOST_TRIALS = 10_000  # the latest
_SHOWN_PARAMETERS = 8
_NEEDED = ("numpy", "scipy", "optuna", "sklearn")


class SearchInsight:
    """The trials of one job, looked at together; read once."""

    def __init__(self, store: Store, job: Job) -> None:
        self._job = job
        self._rows = store.latest_trials(job.id, _MOST_TRIALS)
        self._space, problems = parse_space(job.config)
        self._usable = bool(self._rows and self._space.parameters) and not problems

    def fields(self) -> list[tuple[str, Any]]:
        """Lines for a person, by name; None where there is nothing to say."""
        found = self.importances().items()
        shares = [("importance" if len(found) == 1 else f"importance for {name}", _text(of)) for name, of in found]
        return [("epochs", _spent(self._rows)), *shares, *(("seen", x) for x in self.seen())]

    def importance(self, objective: int = 0) -> dict[str, float]:
        """Parameter -> its share of what makes an objective vary; empty without the packages, or with few trials."""
        if not self._usable or not all(map(find_spec, _NEEDED)):
            return {}
        from mitorch_service.search.importance import importance  # Optuna takes half a second
        from mitorch_service.search.observations import of_objective

        return importance(of_objective(self._history(), objective))

    def importances(self) -> dict[str, dict[str, float]]:
        """The same for each objective, by its name."""
        return {name: self.importance(index) for index, name in enumerate(self._job.search.objectives())}

    def seen(self) -> list[str]:
        """A line for each pathology."""
        if not self._usable or not all(map(find_spec, ("numpy", "scipy"))):
            return []
        from mitorch_service.search.pathologies import pathologies

        kinds = Counter(row.error.type for row in self._rows if row.status == "failed" and row.error is not None)
        return [*_exhausted(self._space, len(self._rows)), *pathologies(self._history(), kinds)]

    def _history(self) -> History:
        return History(study_of(self._job, self._space), records(self._space, self._rows, keep_canceled=False))


def _text(shares: Mapping[str, float]) -> str | None:
    return ", ".join(f"{key} {share:.0%}" for key, share in list(shares.items())[:_SHOWN_PARAMETERS]) or None


def _spent(rows: Sequence[TrialRow]) -> str | None:
    """The epochs of the trials that have ended, against all that they might have run."""
    ended = [row for row in rows if row.status in ("completed", "pruned")]
    spent, whole = sum(row.progress.epoch for row in ended if row.progress), sum(row.max_epochs for row in ended)
    stopped = sum(row.status == "pruned" for row in ended)
    if not stopped or not whole:
        return f"{spent} run" if spent else None
    return f"{spent} run, {spent / whole:.0%} of the {whole} without early stopping, which ended {stopped} trials"


def _exhausted(space: Space, trials: int) -> list[str]:
    points = size(space)
    return [f"all {int(points)} points of the space are tried"] if points < math.inf and trials >= points else []

"""The contract of a document store: domain verbs, written once over the primitives of the two leaves."""

from __future__ import annotations

from mitorch_service.stores.browse import BrowseVerbs
from mitorch_service.stores.costs import CostVerbs
from mitorch_service.stores.datasets import DatasetVerbs
from mitorch_service.stores.jobs import JobVerbs
from mitorch_service.stores.pareto_fronts import FrontVerbs
from mitorch_service.stores.queue import QueueVerbs
from mitorch_service.stores.retention import PruningVerbs
from mitorch_service.stores.rungs import RungVerbs
from mitorch_service.stores.runs import RunVerbs
from mitorch_service.stores.studies import StudyVerbs


class Store(
    QueueVerbs,
    RunVerbs,
    BrowseVerbs,
    JobVerbs,
    FrontVerbs,
    DatasetVerbs,
    PruningVerbs,
    CostVerbs,
    StudyVerbs,
    RungVerbs,
):
    """Documents of trainings, their results, jobs and data sets.

    Every write after the first is guarded by id, attempt and expected status in one atomic step, so that any number of
    controllers and runs may call at once. Times are kept to the millisecond.
    """

"""The document store: verbs by domain, over one database that callers do not reach."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime

from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.search.jobs import JobVerbs
from mitorch_service.stores.search.pareto_fronts import FrontVerbs
from mitorch_service.stores.search.recounts import RecountVerbs
from mitorch_service.stores.search.rungs import RungVerbs
from mitorch_service.stores.search.studies import StudyVerbs
from mitorch_service.stores.verbs.adoption import AdoptionVerbs
from mitorch_service.stores.verbs.backup import BackupVerbs
from mitorch_service.stores.verbs.callbacks import CallbackVerbs
from mitorch_service.stores.verbs.controllers import ControllerVerbs
from mitorch_service.stores.verbs.costs import CostVerbs
from mitorch_service.stores.verbs.damaged import DamagedVerbs
from mitorch_service.stores.verbs.datasets import DatasetVerbs
from mitorch_service.stores.verbs.imports import ImportVerbs
from mitorch_service.stores.verbs.labels import LabelVerbs
from mitorch_service.stores.verbs.notifications import NotificationVerbs
from mitorch_service.stores.verbs.queue import QueueVerbs
from mitorch_service.stores.verbs.retention import RetentionVerbs
from mitorch_service.stores.verbs.runs import RunVerbs
from mitorch_service.stores.verbs.tables import TableVerbs
from mitorch_service.stores.verbs.trainings import TrainingVerbs
from mitorch_service.stores.verbs.usage import UsageVerbs
from mitorch_service.stores.verbs.views import ViewVerbs


class Store:
    """Documents of trainings, their results, jobs and data sets.

    Every write after the first is guarded by id, attempt and expected status in one atomic step, so that any number of
    controllers and runs may call at once. Times are kept to the millisecond. Every verb raises StoreUnavailable when
    the database cannot be reached (the same call may succeed later) and StoreError for anything else that its driver
    reports.
    """

    def __init__(self, database: Primitives) -> None:
        self._database = database
        self.queue = QueueVerbs(database)
        self.adoption = AdoptionVerbs(database)
        self.runs = RunVerbs(database)
        self.trainings = TrainingVerbs(database)
        self.jobs = JobVerbs(database)
        self.recounts = RecountVerbs(database)
        self.labels = LabelVerbs(database)
        self.fronts = FrontVerbs(database)
        self.datasets = DatasetVerbs(database)
        self.retention = RetentionVerbs(database)
        self.imports = ImportVerbs(database)
        self.backup = BackupVerbs(database)
        self.costs = CostVerbs(database)
        self.damaged = DamagedVerbs(database)
        self.controllers = ControllerVerbs(database)
        self.notifications = NotificationVerbs(database)
        self.callbacks = CallbackVerbs(database)
        self.studies = StudyVerbs(database)
        self.rungs = RungVerbs(database)
        self.tables = TableVerbs(database)
        self.views = ViewVerbs(database)
        self.usage = UsageVerbs(database)

    def prepare(self) -> None:
        """Creates collections and indexes where they are missing. Called before the first write; idempotent."""
        self._database.prepare()

    def ping(self) -> str:
        """Returns the engine and its version, once it has answered."""
        return self._database.ping()

    def now(self) -> datetime:
        """Returns the time by the database's clock, which is the same for all who use it. Never raises."""
        return self._database.now()

    def check_writes(self) -> None:
        """Writes something of no effect into a prepared database, to see whether it can be written."""
        self._database.check_writes()

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        """Ends the reads that this thread makes meanwhile after so many seconds in all: they raise QueryTimedOut."""
        return self._database.time_limit(seconds)

    def close(self) -> None:
        """Gives the connections back. The store is of no use afterwards."""
        self._database.close()

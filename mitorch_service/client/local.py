"""The client without a server: on the database that the settings name, as the commands are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from mitorch_service import wiring
from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.client.connection import (
    ChangeDetails,
    ChangesDetails,
    Connection,
    Options,
    RefusalDetails,
    SubmissionDetails,
    Written,
)
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.details.dataset_details import DatasetDetails, dataset_list
from mitorch_service.insights.details.job_details import (
    JobDetails,
    JobRow,
    LeaderboardDetails,
    job_details,
    job_rows,
    leaderboard_details,
)
from mitorch_service.insights.details.status_details import StatusDetails, status_details
from mitorch_service.insights.details.table_details import TableDetails, table_details
from mitorch_service.insights.details.training_details import (
    CurveDetails,
    TrainingDetails,
    curve_details,
    training_details,
)
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.insights.service_status import read_status
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.models.config.validation import parse_object
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.operations.orders import Labels, Means, Order, Verb, carry_out_all
from mitorch_service.operations.selection import EVERYTHING, Selection, select
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind

_EPOCHS = 10_000
_ACT_SECONDS = 1e9


class LocalConnection(Connection):
    """Opens database, artifacts and clusters when they are first needed."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] | None = None) -> None:
        """`clock`: None for the database's, by which the times of several machines are ordered."""
        self._settings = settings
        self._given_clock = clock
        self._opened: Store | None = None

    @property
    def _store(self) -> Store:
        """The database. Raises NoDatabase where the settings name one that does not exist yet; that of the default home
        reads as an empty one."""
        path = self._settings.sqlite_path
        if self._opened is None and path is not None and not path.exists():
            return wiring.open_store(self._settings)
        self._opened = self._opened or wiring.open_store(self._settings)
        return self._opened

    def _clock(self) -> datetime:
        return (self._given_clock or self._store.now)()

    @property
    def _store_to_add(self) -> Store:
        """The database, which the first submission creates."""
        self._opened = self._opened or wiring.open_store(self._settings, create=True)
        return self._opened

    @cached_property
    def _backends(self) -> Mapping[str, Backend]:
        return wiring.open_backends(self._settings)

    @cached_property
    def _artifacts(self) -> ArtifactStore:
        return wiring.open_artifacts(self._settings)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def find(self, key: str) -> tuple[Kind, str]:
        return look_up_one(self._store, key)

    def training(self, id: str) -> TrainingDetails:
        return training_details(self._store, id, self._clock())

    def job(self, id: str) -> JobDetails:
        return job_details(self._store, id, self._clock())

    def jobs(self, limit: int, name: str | None) -> list[JobRow]:
        return job_rows(self._store, limit, name)

    def curve(self, id: str, after: int) -> CurveDetails:
        return curve_details(self._store, id, after, _EPOCHS)

    def leaderboard(self, id: str, limit: int) -> LeaderboardDetails:
        return leaderboard_details(self._store, id, limit)

    def table(self, where: str, sort: str | None, columns: str | None, limit: int, after: str | None) -> TableDetails:
        return table_details(self._store, TableRequest(where, sort, columns, limit, after), self._clock())

    def datasets(self) -> list[DatasetDetails]:
        return dataset_list(self._store)

    def status(self) -> StatusDetails:
        now = self._clock()
        prices = {one.name: one.price for one in self._settings.clusters}
        hooks, policy = self._settings.webhooks, self._settings.placement
        found = read_status(self._store, self._backends, now, hooks, policy, prices)
        return status_details(found, prices, {}, now)

    def submit(self, written: Written, options: Options, dry_run: bool) -> SubmissionDetails:
        from mitorch_service.insights.explanation import explanation, explanation_json  # loads the searches
        from mitorch_service.submission import sas_expiry, submission

        told = sas_expiry.warn_of_storage(self._settings, datetime.now(UTC))
        data = parse_object(written.source, written.text.encode("utf-8", "surrogatepass"))
        checks = wiring.open_config_checks(self._settings, written.folder, upload=not dry_run)
        chosen = submission.Options(
            options.priority,
            None if options.dataset is None else _dataset(options.dataset),
            options.name,
            submission.parse_tags(options.tags),
            self._settings.user,
        )
        store = self._store if dry_run else self._store_to_add
        document = submission.build_submission(store, written.source, data, chosen, self._clock(), checks)
        lines = [*told, *explanation(document, store)]
        plan = explanation_json(document, store) if dry_run else None
        if not dry_run:
            submission.submit(store, document)
        kind: Kind = "job" if isinstance(document, Job) else "training"
        id = None if dry_run else document.id
        return SubmissionDetails(id=id, kind=kind, dataset=str(document.dataset), explanation=lines, plan=plan)

    def act(self, verb: str, ids: Sequence[str], labels: Mapping[str, Any]) -> ChangesDetails:
        order = Order(_verb(verb), _labels(labels) if labels else Labels())
        if order.verb == "change":
            order.labels.check()
        chosen = select(self._store, Selection(tuple(ids)), EVERYTHING).items
        means = Means(self._store, lambda: self._backends, lambda: self._artifacts, self._clock)
        done = carry_out_all(means, order, chosen, _ACT_SECONDS)
        return ChangesDetails(
            changed=[ChangeDetails.model_validate(vars(change)) for change in done.changed],
            refused=[RefusalDetails(id=id, reason=str(why), kind=type(why).__name__) for id, why in done.refused],
            left=done.left,
        )


def _verb(verb: str) -> Verb:
    verbs: dict[str, Verb] = {"cancel": "cancel", "retry": "retry", "delete": "delete", "change": "change"}
    return verbs[verb]


def _labels(given: Mapping[str, Any]) -> Labels:
    names = frozenset("tags" if name in ("add_tags", "remove_tags") else name for name in given)
    tags = {name: tuple(given.get(name, ())) for name in ("add_tags", "remove_tags")}
    return Labels(names, given.get("priority", 0), given.get("name"), given.get("note"), **tags)


def _dataset(text: str) -> DatasetRef:
    try:
        return DatasetRef.parse(text)
    except ValueError as error:
        raise InvalidInput("dataset", [Problem(repr(text), str(error))]) from error

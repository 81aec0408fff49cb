"""The Python client: what the commands do, as functions that return values."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mitorch_service.client.connection import Connection, Options, Written
from mitorch_service.client.progress import open_progress
from mitorch_service.client.results import (
    Changes,
    Curve,
    Job,
    Leaderboard,
    Submission,
    Table,
    Training,
    as_kind,
    job_of,
    training_of,
)
from mitorch_service.errors import InvalidInput, NotAllowed, Problem, ServerUnavailable, StoreUnavailable
from mitorch_service.insights.details.dataset_details import DatasetDetails
from mitorch_service.insights.details.job_details import JobRow
from mitorch_service.insights.details.status_details import StatusDetails
from mitorch_service.insights.details.training_details import EpochDetails
from mitorch_service.stores.verbs.trainings import Kind

_PAGE = 1000
_LEADERS = 20
_PATIENCE = 120.0  # seconds without an answer while one waits
_TOKEN = "MITORCH_VIEWER_TOKEN"  # noqa: S105 (a variable's name)
_MOST_BYTES = 1_000_000

Config = Mapping[str, Any] | str | os.PathLike[str]


class Client:
    """Submits, reads and orders. Without a URL it opens the database that the settings name, as the commands do, and no
    server is needed; with the URL of a viewer it calls that one's API. Both return the same values and raise the same
    errors of `mitorch_service.errors`.

    An `id` may be the beginning of one, or the name of a single training or search.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        """`token`: the viewer's; by default the one in the URL, or MITORCH_VIEWER_TOKEN. Raises InvalidInput,
        SettingsError; nothing is contacted yet."""
        self._connection = _connect(url, token)

    @classmethod
    def over(cls, connection: Connection) -> Self:
        """A client over a connection that is open."""
        client = cls.__new__(cls)
        client._connection = connection
        return client

    def close(self) -> None:
        """Closes the database; a ``with`` block does so at its end. The client is of no use afterwards."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        config: Config,
        *,
        dataset: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: int = 100,
    ) -> Submission:
        """Checks a config (an object, or the path of a JSON or YAML file) and queues it. Raises InvalidInput with every
        problem; nothing is queued then."""
        return self._submit(config, Options(dataset, name, tuple(tags), priority), dry_run=False)

    def explain(
        self,
        config: Config,
        *,
        dataset: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: int = 100,
    ) -> Submission:
        """Checks a config and says what would run; queues nothing. Raises InvalidInput."""
        return self._submit(config, Options(dataset, name, tuple(tags), priority), dry_run=True)

    def get(self, id: str) -> Training | Job:
        """Returns a training with its curve, or a search with its best trials. Raises NotFound, AmbiguousId."""
        kind, whole = self._connection.find(id)
        return self._training(whole) if kind == "training" else self._job(whole)

    def query(
        self, where: str = "", *, sort: str | None = None, columns: Sequence[str] | None = None, limit: int = 100
    ) -> Table:
        """Returns at most `limit` trainings that pass a filter (docs/queries.md), with these columns or the usual ones,
        newest first unless `sort` names a field (-FIELD: from the greatest on). Where the server's time limit ends a
        page it is asked to go on. Raises InvalidInput, NotFound."""
        if limit < 1:
            raise InvalidInput("limit", [Problem(str(limit), "must be 1 or more")])
        named = None if columns is None else ",".join(map(_quoted, columns))
        page = self._connection.table(where, sort, named, min(limit, _PAGE), None)
        rows, first = list(page.rows), page
        while page.next is not None and len(rows) < limit:
            page = self._connection.table(where, sort, named, min(limit - len(rows), _PAGE), page.next)
            rows += page.rows
        fields = {"rows": rows, "complete": page.next is None or len(rows) >= limit, "next": page.next}
        table: Table = as_kind(Table, first.model_copy(update=fields))
        return table

    def jobs(self, limit: int = 50, name: str | None = None) -> list[JobRow]:
        """Returns the first searches, all or those with this name: active ones by priority, then the newest. At most
        1,000. Raises InvalidInput."""
        if not 1 <= limit <= _PAGE:
            raise InvalidInput("limit", [Problem(str(limit), f"must be from 1 to {_PAGE}")])
        return self._connection.jobs(limit, name)

    def wait(
        self,
        id: str,
        *,
        timeout: float | None = None,
        every: float = 2.0,
        progress: bool = True,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Training | Job:
        """Waits until a training or search has ended, and returns it; a controller must run elsewhere. Shows its
        progress in a notebook or on a terminal. A server or database that is away for up to two minutes is asked again.
        Raises NotFound, AmbiguousId; TimeoutError after `timeout` seconds."""
        kind, whole = self._connection.find(id)
        shown, look = open_progress(progress), self._looks(kind, whole)
        waited = silent = 0.0
        try:
            while True:
                try:
                    state = next(look)
                    silent = 0.0
                    shown.show(state)
                    if state.has_ended:
                        return self.get(whole)
                except (ServerUnavailable, StoreUnavailable):
                    if silent >= _PATIENCE:
                        raise
                    silent += every
                    look = self._looks(kind, whole)
                if timeout is not None and waited >= timeout:
                    raise TimeoutError(f"{whole} has not ended within {timeout:g} s")
                pause = every if timeout is None else min(every, timeout - waited)
                sleep(pause)
                waited += pause
        finally:
            shown.end()

    def _looks(self, kind: Kind, id: str) -> Iterator[Training | Job]:
        """Reads it again and again; of a curve only the epochs that are new."""
        epochs: list[EpochDetails] = []
        while True:
            if kind == "job":
                yield self._job(id)
                continue
            details = self._connection.training(id)
            epochs += self._connection.curve(id, epochs[-1].epoch if epochs else 0).epochs
            yield training_of(details, Curve(id=id, epochs=epochs))

    def cancel(self, *ids: str) -> Changes:
        """Cancels trainings, or searches with all their trials. Raises NotFound, AmbiguousId; of a single one
        NotAllowed, of several the refusals are in the answer."""
        return self._act("cancel", ids)

    def retry(self, *ids: str) -> Changes:
        """Queues ended trainings again, or the failed trials of active searches. Raises as `cancel`."""
        return self._act("retry", ids)

    def delete(self, *ids: str) -> Changes:
        """Deletes what has ended: documents, curves and files. Raises as `cancel`."""
        return self._act("delete", ids)

    def change(self, *ids: str, **labels: Any) -> Changes:
        """Changes `priority`, `name`, `note` (None takes these two away), `add_tags` or `remove_tags`. Raises as
        `cancel`, and InvalidInput."""
        unknown = set(labels) - {"priority", "name", "note", "add_tags", "remove_tags"}
        if unknown:
            raise TypeError(f"change() has no {', '.join(sorted(unknown))}")
        return self._act("change", ids, labels)

    def curve(self, id: str) -> Curve:
        """Returns all recorded epochs of a training. Raises NotFound, AmbiguousId."""
        _, whole = self._connection.find(id)
        return self._curve(whole)

    def leaderboard(self, job: str, limit: int = _LEADERS) -> Leaderboard:
        """Returns the best trials of a search, of several objectives its Pareto front. Raises NotFound, AmbiguousId."""
        _, whole = self._connection.find(job)
        return self._leaderboard(whole, limit)

    def datasets(self) -> list[DatasetDetails]:
        """Returns all versions of all data sets, without their classes."""
        return self._connection.datasets()

    def status(self) -> StatusDetails:
        """Returns the clusters, the last pass of a controller, and what needs a person."""
        return self._connection.status()

    def _submit(self, config: Config, options: Options, dry_run: bool) -> Submission:
        found: Submission = as_kind(Submission, self._connection.submit(_written(config), options, dry_run))
        return found

    def _act(self, verb: str, ids: Sequence[str], labels: Mapping[str, Any] | None = None) -> Changes:
        if not ids:
            raise InvalidInput("ids", [Problem("", "names nothing: give ids of trainings or searches")])
        whole = [self._connection.find(id)[1] for id in ids]
        changes: Changes = as_kind(Changes, self._connection.act(verb, whole, labels or {}))
        if len(ids) == 1 and changes.refused:
            from mitorch_service.client.remote import revived

            one = changes.refused[0]
            raise revived(one.kind, one.reason) or NotAllowed("training", one.id, "refused", verb, one.reason)
        return changes

    def _training(self, id: str) -> Training:
        return training_of(self._connection.training(id), self._curve(id))

    def _job(self, id: str) -> Job:
        return job_of(self._connection.job(id), self._leaderboard(id, _LEADERS))

    def _leaderboard(self, id: str, limit: int) -> Leaderboard:
        board: Leaderboard = as_kind(Leaderboard, self._connection.leaderboard(id, limit))
        return board

    def _curve(self, id: str) -> Curve:
        epochs: list[EpochDetails] = []
        more = True
        while more:
            part = self._connection.curve(id, epochs[-1].epoch if epochs else 0)
            epochs += part.epochs
            more = part.more and bool(part.epochs)
        return Curve(id=id, epochs=epochs)


def _connect(url: str | None, token: str | None) -> Connection:
    if url is None:
        if token is not None:
            raise InvalidInput("token", [Problem("", "is a viewer's: give its url, too")])
        from mitorch_service.client.local import LocalConnection
        from mitorch_service.settings import read_settings

        return LocalConnection(read_settings())
    from mitorch_service.client.remote import RemoteConnection

    return RemoteConnection(url, token or os.environ.get(_TOKEN) or None)


def _written(config: Config) -> Written:
    """The text of a config. Raises InvalidInput for a file that cannot be read."""
    if isinstance(config, Mapping):
        return Written(json.dumps(config), "config")
    path = Path(config)
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), [Problem("", f"is not UTF-8 text ({error.reason})")]) from error
    return Written(text, str(path), path.parent)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"' if "," in name or '"' in name else name

"""The use by users or teams: counted when attempts have ended, each once, in one document.

The document names the attempts that are still to be counted: those that are active, and those that this pass is about
to claim. One that a later pass does not find active any more is counted, and its name taken away, in the same change,
which is guarded by the document's version. So whatever dies or overlaps, nothing is counted twice, and a pass reads
only what has ended since the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from mitorch_service.controller.observe.cost import run_time
from mitorch_service.controller.plan.actions import Action, Launch
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.fair_share.share import share_of
from mitorch_service.models.fair_share.usage import ShareUsage, Usage, decayed_hours, usage_id
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import TrainingRow, attempt_of_run
from mitorch_service.placement_settings.policy import FairShare
from mitorch_service.stores.base import Store

_TRIES = 3


class ShareLedger:
    """The use as one pass reads and records it."""

    def __init__(self, store: Store, settings: FairShare) -> None:
        self._store = store
        self._settings = settings
        self._stored: Usage | None = None

    def read(self, now: datetime, active: Sequence[TrainingRow]) -> Usage:
        """Returns the use until now of the attempts that have ended; nothing is written."""
        self._stored = self._store.usage.read_usage(self._settings.by)
        return self._brought_up_to_date(now, active, ())

    def record(
        self, now: datetime, active: Sequence[TrainingRow], actions: Iterable[Action], waiting: Iterable[TrainingRow]
    ) -> None:
        """Stores it, with what this pass is about to claim, if anything has changed since."""
        rows = {row.id: row for row in waiting}
        launched = [
            (action.attempt.run_name, rows.get(action.training_id)) for action in actions if isinstance(action, Launch)
        ]
        for _ in range(_TRIES):
            after = self._brought_up_to_date(now, active, launched)
            if self._is_stored(after) or self._store.usage.replace_usage(self._stored, after):
                return
            self._stored = self._store.usage.read_usage(self._settings.by)

    def _is_stored(self, after: Usage) -> bool:
        """Whether nothing has to be written: time alone changes nothing."""
        before = self._stored
        return (before is None and not after.open) or (before is not None and before.open == after.open)

    def _brought_up_to_date(
        self, now: datetime, active: Sequence[TrainingRow], launched: Sequence[tuple[str, TrainingRow | None]]
    ) -> Usage:
        before = self._stored or Usage(id=usage_id(self._settings.by), at=now)
        at = max(now, before.at)  # another pass may have written it since this one began
        shares = before.decayed(at, self._settings.half_life)
        still_open = {attempt.run_name for row in active if (attempt := row.current_attempt()) is not None}
        gone = [name for name in before.open if name not in still_open]
        rows = self._read_rows(gone)
        for name in gone:
            id, number = attempt_of_run(name)
            row = rows.get(id)
            if row is None or _never_was(row, number):
                continue
            hours = self._hours(row, number, at)
            if hours is None:
                still_open.add(name)
            else:
                shares = _added(shares, self._share(row), hours, None)
        for name, row in launched:
            still_open.add(name)
            if row is not None:
                shares = _added(shares, self._share(row), 0.0, now)
        return before.model_copy(
            update={"at": at, "shares": [shares[share] for share in sorted(shares)], "open": sorted(still_open)}
        )

    def _read_rows(self, names: Sequence[str]) -> dict[str, TrainingRow]:
        documents = self._store.tables.documents(
            [attempt_of_run(name)[0] for name in names], without=("config", "error")
        )
        return dict(_readable(documents))

    def _hours(self, row: TrainingRow, number: int, at: datetime) -> float | None:
        """The node hours of an attempt as they count now; None if it has not ended."""
        if number > len(row.attempts) or row.attempts[number - 1].ended_at is None:
            return None
        attempt = row.attempts[number - 1]
        begin, end = run_time(attempt, at)
        return decayed_hours(begin, end, at, self._settings.half_life) * attempt.nodes

    def _share(self, row: TrainingRow) -> str:
        return share_of(self._settings.by, row.tags, row.submitted_by)


def _added(
    shares: Mapping[str, ShareUsage], share: str, hours: float, started_at: datetime | None
) -> dict[str, ShareUsage]:
    before = shares.get(share, ShareUsage(share=share))
    changes = {"node_hours": before.node_hours + hours, "started_at": started_at or before.started_at}
    return {**shares, share: before.model_copy(update=changes)}


def _never_was(row: TrainingRow, number: int) -> bool:
    """Whether the attempt was not claimed and never will be. One of a training that waits is its next one."""
    return row.attempt < number and row.status in ENDED


def _readable(documents: Mapping[str, dict[str, object]]) -> Iterator[tuple[str, TrainingRow]]:
    for id, document in documents.items():
        with suppress(BrokenDocument):
            yield id, TrainingRow.from_document(document)

"""The queue of a replay: its head in order, and that of each share, without a database."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict

from mitorch_service.controller.plan.placing.head_limits import limit_of_share
from mitorch_service.controller.plan.placing.order_of_service import in_order
from mitorch_service.models.training import TrainingRow

_Key = tuple[int, int, str]


class WaitingLine:
    """Trainings that wait, in the order of priority, then arrival."""

    def __init__(self) -> None:
        self._keys: list[_Key] = []
        self._by_share: defaultdict[str, list[_Key]] = defaultdict(list)
        self._rows: dict[str, TrainingRow] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, row: TrainingRow, share: str) -> None:
        """Adds one that was submitted."""
        self._rows[row.id] = row
        insort(self._keys, _key(row))
        insort(self._by_share[share], _key(row))

    def remove(self, id: str, share: str) -> TrainingRow:
        """Takes out one that was given nodes."""
        row = self._rows.pop(id)
        _take(self._keys, _key(row))
        _take(self._by_share[share], _key(row))
        if not self._by_share[share]:
            del self._by_share[share]
        return row

    def head(self, limit: int) -> list[TrainingRow]:
        """Returns the first."""
        return [self._rows[key[2]] for key in self._keys[:limit]]

    def with_shares(self, head: list[TrainingRow], room: int) -> list[TrainingRow]:
        """Adds the first of each share, as a pass does that counts them."""
        if not 0 < room < len(head):
            return head
        limit = limit_of_share(room, len(self._by_share), head)
        firsts = (self._rows[key[2]] for keys in self._by_share.values() for key in keys[:limit])
        return in_order([*head, *firsts])

    def rest(self) -> list[TrainingRow]:
        """Returns all that wait."""
        return [self._rows[key[2]] for key in self._keys]


def _key(row: TrainingRow) -> _Key:
    return row.priority, row.arrival, row.id


def _take(keys: list[_Key], key: _Key) -> None:
    del keys[bisect_left(keys, key)]

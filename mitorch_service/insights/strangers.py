"""The documents of other programs that no pass adopts."""

from __future__ import annotations

from mitorch_service.errors import BrokenDocument
from mitorch_service.stores.base import Store

_SHOWN = 10  # of each kind


def read_strangers(store: Store) -> list[BrokenDocument]:
    """Returns the first of them, each with what to do."""
    return [*store.adoption.strangers("training", _SHOWN), *store.adoption.strangers("job", _SHOWN)]

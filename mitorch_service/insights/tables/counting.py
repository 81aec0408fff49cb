"""The number of trainings that pass a filter, where an index tells it."""

from __future__ import annotations

from mitorch_service.insights.tables.opening import Table
from mitorch_service.insights.where.conditions import Condition
from mitorch_service.insights.where.terms import PatternTerm
from mitorch_service.stores.verbs.tables import IndexOrder


def count_rows(table: Table) -> int | None:
    """Returns the number of rows on all pages of a table; None if they would have to be looked at. Its time grows with
    the answer: 100,000 take some milliseconds."""
    conditions, store = table.plan.conditions, table.store
    if all(one.keys is not None and one.field is not None and one.field.name == "status" for one in conditions):
        counts = store.trainings.count_trainings()
        return sum(n for status, n in counts.items() if all(status in (one.keys or ()) for one in conditions))
    if len(conditions) > 1 or not _is_exact(conditions[0]) or len(table.plan.selection) != 1:
        return None
    (range,) = table.plan.selection
    return store.tables.count(range) if range.order == IndexOrder.ARRIVAL and range.path is not None else None


def _is_exact(condition: Condition) -> bool:
    """Whether the index holds exactly what fits: the version of a data set is not in it."""
    if condition.field is None or condition.keys is None or isinstance(condition.term, PatternTerm):
        return False
    return condition.field.name == "job" or [one.text for one in condition.term.values] == list(condition.keys)

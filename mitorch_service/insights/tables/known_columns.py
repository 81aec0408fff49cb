"""The columns that the trainings of a database have, found in a sample of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mitorch_service.insights.where.document_values import config_of, flat, parameters_of, texts_of
from mitorch_service.insights.where.fields import CURVE_FOLDS, FIELDS, LOSSES, Kind
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.tables import IndexRange

SAMPLE = 200  # the newest trainings
MAX_COLUMNS = 500  # that are listed; others are found by a part of their names
_MOST_OF_ONE = 2000  # names in one training
_CROWD = 100  # names below one, beyond which they are listed last
_REPEATED = ("last", *CURVE_FOLDS)  # families with the names of `metric`


@dataclass(frozen=True)
class KnownColumn:
    """A column that one may choose."""

    name: str
    kind: Kind
    rows: int  # of the sample, that have a value there


@dataclass(frozen=True)
class KnownColumns:
    """The columns of a sample: first those of every training, then the most frequent."""

    columns: Sequence[KnownColumn]
    total: int  # with those that are not listed
    sampled: int  # trainings that were looked at


def known_columns(
    store: Store, ranges: Sequence[IndexRange] = (IndexRange(),), part: str = "", limit: int = MAX_COLUMNS
) -> KnownColumns:
    """Lists the columns whose names contain `part`, at most `limit`. `ranges`: of a plan's selection."""
    counts: Counter[str] = Counter()
    documents = list(_sample(store, ranges))
    for document in documents:
        counts.update(set(_names(document)))
    found = [KnownColumn(field.name, field.kind, len(documents)) for field in FIELDS.values()]
    siblings = Counter(_parent(name) for name in counts)
    others = sorted(counts.items(), key=lambda item: (siblings[_parent(item[0])] > _CROWD, -item[1], item[0]))
    found += [KnownColumn(name, _kind(name), n) for name, n in others]
    fitting = [one for one in found if part.lower() in one.name.lower()]
    return KnownColumns(fitting[:limit], len(fitting), len(documents))


def known_names(store: Store) -> Callable[[], Iterable[str]]:
    """Returns a function that gives the names of the sample's columns; it is read once, when they are asked for."""

    @cache
    def names() -> Sequence[str]:
        counts: Counter[str] = Counter()
        for document in _sample(store, (IndexRange(),)):
            counts.update(name for name in _names(document) if name.partition(".")[0] not in _REPEATED)
        return [name for name, _ in counts.most_common(_MOST_OF_ONE)]

    return names


def _sample(store: Store, ranges: Sequence[IndexRange]) -> Iterator[StoredDocument]:
    each = max(1, SAMPLE // max(1, len(ranges)))
    for one in ranges[:SAMPLE]:
        yield from store.tables.rows(one, True, each, without=("error", "attempts", "artifacts"))


def _names(document: StoredDocument) -> Iterator[str]:
    """The names of the columns in which a training has a value."""
    yield from (f"config.{path}" for path, _ in flat(config_of(document), most=_MOST_OF_ONE))
    yield from (f"param.{name}" for name in list(parameters_of(document))[:_MOST_OF_ONE])
    yield from (f"tag.{tag.partition('=')[0]}" for tag in texts_of(document.get("tags")))
    measures = dict.fromkeys([*_measures(document)][:_MOST_OF_ONE])
    for family in ("metric", *_REPEATED):
        yield from (f"{family}.{name}" for name in measures)


def _measures(document: StoredDocument) -> Iterator[str]:
    progress, evaluation = document.get("progress"), document.get("evaluation")
    if isinstance(progress, Mapping):
        yield from (loss for loss in LOSSES if progress.get(loss) is not None)
        metrics = progress.get("metrics")
        yield from metrics if isinstance(metrics, Mapping) else ()
    yield from evaluation if isinstance(evaluation, Mapping) else ()


def _parent(name: str) -> str:
    """The section of a config in which a name is; each name of another family is on its own."""
    return name.rpartition(".")[0] if name.startswith("config.") else name


def _kind(name: str) -> Kind:
    return Kind.ANY if name.partition(".")[0] in ("config", "param", "tag") else Kind.NUMBER

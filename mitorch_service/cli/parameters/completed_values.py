"""Values that a shell completes: ids and names of trainings and jobs, names of data sets, fields and views. An error
completes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mitorch_service.stores.base import Store

_SHOWN = 50


def complete_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The trainings and jobs whose ids begin so, the newest first where nothing is written yet."""
    return _complete(lambda store: store.trainings.ids_beginning(incomplete, _SHOWN))


def complete_jobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The jobs whose ids begin so."""
    return _complete(lambda store: store.trainings.ids_beginning(incomplete, _SHOWN, ("job",)))


def complete_ids_and_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The trainings and jobs whose ids or names begin so, where a command takes both."""

    def found(store: Store) -> Iterator[tuple[str, str]]:
        yield from store.trainings.ids_beginning(incomplete, _SHOWN)
        if incomplete:
            named = store.trainings.names_beginning(incomplete, _SHOWN)
            yield from ((name, f"{kind} by its name") for name, kind in named if "\n" not in name)

    return _complete(found)


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The trainings and jobs whose ids or names begin so, and files."""
    from click.shell_completion import CompletionItem

    return [*complete_ids_and_names(context, parameter, incomplete), CompletionItem(incomplete, type="file")]


def complete_datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The registered data sets whose names begin so."""

    def named(store: Store) -> Iterator[tuple[str, str]]:
        refs = (str(dataset.ref) for dataset in store.datasets.list_datasets().items)
        return ((ref, "data set") for ref in refs if ref.startswith(incomplete))

    return _complete(named)


def complete_fields(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The fields of trainings whose names contain what is written, behind a minus, too."""
    return _complete(lambda store: _fields(store, "-" * incomplete.startswith("-"), incomplete.removeprefix("-")))


def complete_columns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same for the last name of a list."""
    before, comma, last = incomplete.rpartition(",")
    return _complete(lambda store: _fields(store, before + comma, last))


def complete_where(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same for the last word of a filter, as long as it has no colon."""
    before, blank, last = incomplete.rpartition(" ")
    before += blank + "-" * last.startswith("-")
    return _complete(lambda store: _fields(store, before, last.removeprefix("-"), ":") if ":" not in last else ())


def complete_views(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The saved views whose names begin so."""
    return _complete(
        lambda store: ((v.id, v.query) for v in store.views.list_views().items if v.id.startswith(incomplete))
    )


def _fields(store: Store, before: str, part: str, behind: str = "") -> Iterator[tuple[str, str]]:
    from mitorch_service.insights.tables.known_columns import known_columns

    found = [one.name for one in known_columns(store, part=part, limit=_SHOWN).columns]
    return ((f"{before}{name}{behind}", "field") for name in found)


def _complete(find: Callable[[Store], Iterable[tuple[str, str]]]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from mitorch_service.errors import MiTorchError
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    try:
        settings = read_settings()
        if settings.sqlite_path is not None and not settings.sqlite_path.exists():
            return []  # to open it would create it
        return [CompletionItem(value, help=text) for value, text in find(open_store(settings))]
    except MiTorchError:
        return []

"""Values that a shell completes: ids of trainings and jobs, names of data sets. An error completes nothing."""

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


def complete_datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The registered data sets whose names begin so."""

    def named(store: Store) -> Iterator[tuple[str, str]]:
        refs = (str(dataset.ref) for dataset in store.datasets.list_datasets().items)
        return ((ref, "data set") for ref in refs if ref.startswith(incomplete))

    return _complete(named)


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

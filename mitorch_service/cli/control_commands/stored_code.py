"""Tells that what is queued again runs older code than its source holds now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mitorch_service.models.config.script import CodeRecord
    from mitorch_service.stores.base import Store
    from mitorch_service.stores.verbs.trainings import Kind


class StoredCode:
    """Looks at trainings and jobs that are queued again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._codes: dict[tuple[str | None, str], CodeRecord] = {}  # by path and digest
        self._counts: Counter[tuple[str | None, str]] = Counter()  # trainings and jobs, likewise

    def look_at(self, kind: Kind, id: str) -> None:
        """Notes the code of a training or job. Raises NotFound, BrokenDocument."""
        from mitorch_service.models.config.script import code_of

        store = self._store
        found = store.jobs.get_job(id).config if kind == "job" else store.trainings.get_training(id).config
        if (code := code_of(found)) is not None:
            self._codes[code.path, code.digest] = code
            self._counts[code.path, code.digest] += 1

    def tell_changes(self) -> None:
        """Says on standard error which code is older than its source, which is read once."""
        from mitorch_service.cli.views.control.change import older_code_text

        for key, code in self._codes.items():
            if text := older_code_text(code, self._counts[key]):
                click.echo(text, err=True)

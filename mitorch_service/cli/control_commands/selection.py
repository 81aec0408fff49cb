"""The arguments of commands that change one training or job, or all that pass a filter, and the question before it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

import click

from mitorch_service.cli.parameters.completed_values import complete_ids, complete_jobs
from mitorch_service.cli.parameters.parameter_types import Word
from mitorch_service.models.status import TrainingStatus

if TYPE_CHECKING:
    from mitorch_service.errors import MiTorchError
    from mitorch_service.operations.lifecycle import Change
    from mitorch_service.operations.selection import Scope, Selected
    from mitorch_service.stores.base import Store
    from mitorch_service.stores.verbs.trainings import Kind

_SHOWN = 20  # refusals; the others are only counted


@dataclass(frozen=True)
class Asked:
    """The choice as it was given, and how it is to be answered."""

    ids: tuple[str, ...]
    tag: str | None
    job: str | None
    status: str | None
    yes: bool
    as_json: bool

    @property
    def filters(self) -> bool:
        return any(given is not None for given in (self.tag, self.job, self.status))

    def change(
        self,
        store: Store,
        scope: Scope,
        verb: str,
        change: Callable[[Kind, str], Change],
        words: Callable[[Change], str],
    ) -> int:
        """Changes what was chosen, and prints each change; asks first where a filter chose. Returns the exit code: 1 if
        something was refused. Raises click.UsageError, NotFound, AmbiguousId, and the refusal of a single one."""
        from mitorch_service.cli.views.control.change import show_changes_json, show_refusals
        from mitorch_service.errors import NotAllowed, NotFound

        found = self._select(store, scope)
        changes: list[Change] = []
        refused: list[tuple[str, MiTorchError]] = [(str(broken.key), broken) for broken in found.broken]
        if self.filters and not self._is_wanted(found, verb):
            return int(bool(found.items))
        for kind, id in found.items:
            try:
                done = change(kind, id)
            except (NotAllowed, NotFound) as error:
                if not self.filters and len(found.items) == 1:
                    raise
                refused.append((id, error))
                continue
            changes.append(done)
            if not self.as_json:
                click.echo(words(done))
        if self.as_json:
            show_changes_json(changes, refused)
        show_refusals(refused, _SHOWN)
        return int(bool(refused))

    def _select(self, store: Store, scope: Scope) -> Selected:
        from mitorch_service.operations.selection import Selection, select

        if bool(self.ids) == self.filters:
            problem = "not both" if self.ids else "nothing is chosen"
            raise click.UsageError(f"Give IDs, or choose by --tag, --job and --status: {problem}.")
        if self.tag is not None:
            _check_tag(self.tag)
        status = None if self.status is None else TrainingStatus(self.status)
        return select(store, Selection(self.ids, self.tag, self.job, status), scope)

    def _is_wanted(self, found: Selected, verb: str) -> bool:
        """Says what would be changed and asks. Raises click.UsageError where nobody can answer."""
        from mitorch_service.wording.counted import counted

        jobs = sum(kind == "job" for kind, _ in found.items)
        trainings = len(found.items) - jobs
        parts = [counted(jobs, "job") + " with all trials"] * bool(jobs) + [counted(trainings, "training")] * bool(
            trainings
        )
        if not parts:
            if not self.as_json:
                click.echo(f"nothing to {verb}: no training and no job fits")
            return self.as_json
        what = f"{verb} {' and '.join(parts)}"
        if self.yes:
            return True
        if not sys.stdin.isatty():
            raise click.UsageError(f"This would {what}, and nobody can be asked here: add --yes.")
        if click.confirm(f"{what}?", err=True):
            return True
        click.echo("nothing was changed", err=True)
        return False


def _check_tag(tag: str) -> None:
    from mitorch_service.models.labels import check_tag

    try:
        check_tag(tag)
    except ValueError as error:
        raise click.BadParameter(f"{tag!r}: {error}", param_hint="--tag") from error


def selection_options(
    statuses: Iterable[TrainingStatus], metavar: str = "[ID]..."
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Adds the arguments; the command gets them as one `Asked`. `statuses`: those that the command can change."""
    choices = Word([status.value for status in statuses])
    options: tuple[Callable[[Any], Any], ...] = (
        click.argument("ids", nargs=-1, metavar=metavar, shell_complete=complete_ids),
        click.option("--tag", metavar="K=V", help="All with this tag: trainings, and jobs with their trials."),
        click.option("--job", metavar="ID", shell_complete=complete_jobs, help="All trials of this job."),
        click.option("--status", type=choices, help="Only trainings in this status."),
        click.option("--yes", is_flag=True, help="Do not ask before all that fit are changed."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )

    def add(function: Callable[..., int]) -> Callable[..., int]:
        def collected(
            ids: tuple[str, ...],
            tag: str | None,
            job: str | None,
            status: str | None,
            yes: bool,
            as_json: bool,
            **others: object,
        ) -> int:
            return function(Asked(ids, tag, job, status, yes, as_json), **others)

        update_wrapper(collected, function)
        for option in reversed(options):
            option(collected)
        return collected

    return add

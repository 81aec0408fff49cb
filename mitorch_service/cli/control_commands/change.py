"""micontrol cancel, retry, priority, delete."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.control_commands.selection import Asked, selection_options
from mitorch_service.cli.parameters.parameter_types import WholeNumber
from mitorch_service.models.status import ENDED, OPEN, RETRYABLE

if TYPE_CHECKING:
    from mitorch_service.operations.lifecycle import Change
    from mitorch_service.stores.verbs.trainings import Kind


class NumberLast(click.Command):
    """A command whose last argument may be a negative number, which is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        numbers = [number for number, arg in enumerate(args) if re.fullmatch(r"-\d+", arg)]
        if numbers and "--" not in args:
            args = [*args[: numbers[-1]], *args[numbers[-1] + 1 :], "--", args[numbers[-1]]]
        return super().parse_args(ctx, args)


@click.command()
@selection_options(OPEN)
def cancel(asked: Asked) -> int:
    """Cancel trainings, or jobs with all their trials, by ID or by what they have in common.

    With --job the trials only: the job goes on and creates others.
    """
    from mitorch_service.cli.views.control.change import cancel_text
    from mitorch_service.operations import lifecycle
    from mitorch_service.operations.selection import CANCELABLE
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_backends, open_store

    settings = read_settings()
    store, backends = open_store(settings), open_backends(settings)
    now = store.now()
    return asked.change(
        store, CANCELABLE, "cancel", lambda kind, id: lifecycle.cancel(store, backends, kind, id, now), cancel_text
    )


@click.command()
@selection_options(RETRYABLE)
def retry(asked: Asked) -> int:
    """Queue failed, canceled, pruned, paused or diverged trainings again, by ID or by what they have in common; of an
    active job all such trials except paused ones, which their search resumes.

    A script runs the code that was stored when it was submitted; that its source has changed since is told.
    """
    from mitorch_service.cli.control_commands.stored_code import StoredCode
    from mitorch_service.cli.views.control.change import retry_text
    from mitorch_service.operations import lifecycle
    from mitorch_service.operations.selection import REPEATABLE
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    store = open_store(read_settings())
    now = store.now()
    code = StoredCode(store)

    def queue_again(kind: Kind, id: str) -> Change:
        change = lifecycle.retry(store, kind, id, now)
        code.look_at(kind, id)
        return change

    done = asked.change(store, REPEATABLE, "retry", queue_again, retry_text)
    code.tell_changes()
    return done


@click.command(cls=NumberLast)
@selection_options(OPEN)
@click.argument("n", type=WholeNumber(-(2**31), 2**31 - 1))
def priority(asked: Asked, n: int) -> int:
    """Give trainings, or jobs with their waiting trials, the priority N; lower runs first."""
    from mitorch_service.cli.views.control.change import priority_text
    from mitorch_service.operations import lifecycle
    from mitorch_service.operations.selection import CANCELABLE
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    store = open_store(read_settings())
    return asked.change(
        store,
        CANCELABLE,
        "prioritise",
        lambda kind, id: lifecycle.prioritise(store, kind, id, n),
        lambda change: priority_text(change, n),
    )


@click.command()
@selection_options(ENDED)
def delete(asked: Asked) -> int:
    """Delete ended trainings, or ended jobs with all their trials: documents, results and artifacts."""
    from mitorch_service.cli.views.control.change import delete_text
    from mitorch_service.operations import lifecycle
    from mitorch_service.operations.selection import DELETABLE
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_artifacts, open_store

    settings = read_settings()
    store, artifacts = open_store(settings), open_artifacts(settings)
    return asked.change(
        store, DELETABLE, "delete", lambda kind, id: lifecycle.delete(store, artifacts, kind, id), delete_text
    )

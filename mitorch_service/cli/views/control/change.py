"""Words the outcome of the commands of `micontrol` that change trainings and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from mitorch_service.cli.views.pages.escapes import one_line
from mitorch_service.cli.views.pages.output import show_json
from mitorch_service.errors import MiTorchError
from mitorch_service.models.config.script import CodeRecord
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.operations.lifecycle import Change
from mitorch_service.operations.repair import Repair
from mitorch_service.wording.counted import counted


def cancel_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id}: no more trials; {change.trials} asked to stop; the next pass ends it"
    return f"training {change.id} {'canceled' if change.is_final else 'asked to stop'}"


def retry_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id}: {counted(change.trials, 'trial')} queued again"
    return f"training {change.id} queued again"


def older_code_text(code: CodeRecord, count: int) -> str | None:
    """Says that the source of what is queued again has changed; None if it has not, or is not on this machine."""
    from mitorch_service.runs.script.code_change import has_changed

    if not has_changed(code):
        return None
    which = "it runs" if count == 1 else f"{count} of them run"
    path = one_line(mask_secrets(str(code.path)))
    return (
        f"Warning: {which} the code as it was submitted, but {path} has changed since. "
        "To run what is there now, submit it again."
    )


def priority_text(change: Change, priority: int) -> str:
    if change.kind == "job":
        return f"job {change.id} and {change.trials} of its trials have priority {priority}"
    return f"training {change.id} has priority {priority}"


def delete_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id} deleted with {counted(change.trials, 'trial')}"
    return f"training {change.id} deleted"


def repair_text(done: Repair) -> str:
    if not done.was_damaged:
        return f"{done.kind} {done.id} can be read: nothing to repair"
    lost = f"; lost: {', '.join(done.lost)}" if done.lost else ""
    again = f"; micontrol retry {done.id} runs it again" if (done.kind, done.status) == ("training", "failed") else ""
    return f"{done.kind} {done.id} repaired: it is {done.status}{lost}{again}"


def tag_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id} tagged with {counted(change.trials, 'training')}"
    return f"training {change.id} tagged"


def label_text(change: Change, what: str, text: str | None) -> str:
    return f"{change.kind} {change.id} has " + (f"no {what} any more" if text is None else f"the {what} {text}")


def show_changes_json(changes: Sequence[Change], refused: Sequence[tuple[str, MiTorchError]]) -> None:
    """Prints what was changed, and what was left as it is with the reason."""
    left = [{"id": id, "reason": str(error)} for id, error in refused]
    show_json({"changed": [asdict(change) for change in changes], "refused": left})


def show_refusals(refused: Sequence[tuple[str, MiTorchError]], limit: int) -> None:
    """Prints the first `limit` reasons, and how many more there are, on standard error."""
    for _, error in refused[:limit]:
        click.echo(mask_secrets(f"left as it is: {error}"), err=True)
    if len(refused) > limit:
        click.echo(f"… and {len(refused) - limit} more", err=True)

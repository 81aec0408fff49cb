"""Words the outcome of `micontrol cancel`, `retry`, `priority`, `delete` and `repair`."""

from __future__ import annotations

from mitorch_service.operations.lifecycle import Change
from mitorch_service.operations.repair import Repair


def cancel_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id}: no more trials; {change.trials} asked to stop; the next pass ends it"
    return f"training {change.id} {'canceled' if change.is_final else 'asked to stop'}"


def retry_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id}: {change.trials} trials queued again"
    return f"training {change.id} queued again"


def priority_text(change: Change, priority: int) -> str:
    if change.kind == "job":
        return f"job {change.id} and {change.trials} of its trials have priority {priority}"
    return f"training {change.id} has priority {priority}"


def delete_text(change: Change) -> str:
    if change.kind == "job":
        return f"job {change.id} deleted with {change.trials} trials"
    return f"training {change.id} deleted"


def repair_text(done: Repair) -> str:
    if not done.was_damaged:
        return f"{done.kind} {done.id} can be read: nothing to repair"
    lost = f"; lost: {', '.join(done.lost)}" if done.lost else ""
    again = f"; micontrol retry {done.id} runs it again" if (done.kind, done.status) == ("training", "failed") else ""
    return f"{done.kind} {done.id} repaired: it is {done.status}{lost}{again}"

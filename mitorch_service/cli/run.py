"""mirun: one attempt of a queued training, on the machine where a backend started it."""

from __future__ import annotations

import click

from mitorch_service.cli.parameters.parameter_types import WholeNumber


@click.command(name="mirun")
@click.argument("id")
@click.option("--attempt", type=WholeNumber(1), required=True, help="Number of the attempt to run.")
def command(id: str, attempt: int) -> int:
    """Run one attempt of the queued training ID. Started by a backend, not by hand."""
    from mitorch_service.cli.training.run_process import run_attempt

    return run_attempt(id, attempt)

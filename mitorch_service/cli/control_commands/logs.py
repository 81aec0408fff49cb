"""micontrol logs."""

from __future__ import annotations

import time

import click

from mitorch_service.cli.parameters.completed_values import complete_ids_and_names
from mitorch_service.cli.parameters.parameter_types import WholeNumber

_SECONDS = 1.0


@click.command()
@click.argument("id", shell_complete=complete_ids_and_names)
@click.option("--attempt", type=WholeNumber(1), help="Its number. [default: the current one]")
@click.option("--tail", type=WholeNumber(0), metavar="N", help="The last N lines only. [default: 64 KB]")
@click.option("--raw", is_flag=True, help="Send control characters, such as those of colours, to the terminal.")
@click.option("--follow", is_flag=True, help="Print what is added, too, until the training has ended or Ctrl-C.")
def logs(id: str, attempt: int | None, tail: int | None, raw: bool, follow: bool) -> None:
    """Print the end of what a training's run has printed so far. Control characters are shown as \\x1b.

    With --follow and without --attempt, the attempts that come after it, too.
    """
    from mitorch_service.cli.views.control.log import show_log
    from mitorch_service.insights.training.run_log import follow_log, read_log
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_backends, open_store

    settings = read_settings()
    store, backends = open_store(settings), open_backends(settings)
    if not follow:
        text = read_log(store, backends, id, attempt, tail)
        show_log(text, raw)
        if not text and tail != 0:
            click.echo("The log is empty, or was removed with the folder of the run.", err=True)
        return
    for text in follow_log(store, backends, id, attempt, tail, lambda: time.sleep(_SECONDS)):
        show_log(text, raw)

"""mitorch consume (also traind): takes trainings from a queue of VoTT-train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import threading


@click.command(name="consume")
@click.option("--once", is_flag=True, help="Take what is in the queue, deliver what is due, and end: for cron.")
@click.option(
    "--control", is_flag=True, help="Run the controller's passes as well (micontrol run), in a process beside."
)
def command(once: bool, control: bool) -> None:
    """Take trainings from an Azure Storage Queue, or from Azure Service Bus, as VoTT-train does.

    A JSON message {"plugin_name", "annotations", "model", "status"} becomes one training, however often it is
    delivered. Its status is posted while it runs, and its model is stored, by this command. Ends with Ctrl-C or
    SIGTERM.
    """
    from mitorch_service.settings import read_environment, read_settings
    from mitorch_service.wiring import open_vott

    environ = read_environment()
    service = open_vott(read_settings(environ), environ, _tell)
    click.echo(f"reading {service.consumer.queue.name}")
    with _stopping(service.stop), _controlling(control):
        if once:
            service.run_once()
        else:
            service.run()


def _tell(line: str) -> None:
    from mitorch_service.models.secrets import mask_secrets
    from mitorch_service.wording.control_characters import log_text

    click.echo(log_text(mask_secrets(line)))


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C end the command in order: a message that is being worked on goes back."""
    import signal

    def handle(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _controlling(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    import subprocess
    import sys

    words = [sys.executable, "-m", "mitorch_service.cli.main", "control", "run"]
    with subprocess.Popen(words) as controller:
        try:
            yield
        finally:
            controller.terminate()

"""micontrol test-webhooks: sends a message to the webhooks of the settings."""

from __future__ import annotations

import click


@click.command(name="test-webhooks")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def test_webhooks(names: tuple[str, ...]) -> int:
    """Send a test message to each webhook of MITORCH_WEBHOOKS, or to those named, and print the answers.

    One that works and was waited for, because it had failed, is tried again by the next pass.
    """
    from mitorch_service.operations.webhook_test import send_test, tried_again
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    settings = read_settings()
    results = send_test(settings.webhooks, names)
    for webhook, answer in results:
        said = "ok" if answer.problem is None else answer.problem
        click.echo(f"{webhook.name} ({webhook.kind}, {webhook.host}): {said}", err=answer.problem is not None)
    tried_again(lambda: open_store(settings), [webhook for webhook, answer in results if answer.problem is None])
    return int(any(answer.problem is not None for _, answer in results))

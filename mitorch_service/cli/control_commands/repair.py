"""micontrol repair."""

from __future__ import annotations

import click

from mitorch_service.cli.parameters.completed_values import complete_ids


@click.command()
@click.argument("id", shell_complete=complete_ids)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def repair(id: str, as_json: bool) -> None:
    """Make a training or job readable again whose document is damaged: keep what can be read, name what is lost. What
    cannot be repaired is removed by delete."""
    from mitorch_service.cli.views.control.change import repair_text
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.operations.repair import repair as repair_it
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    store = open_store(read_settings())
    done = repair_it(store, id, store.now())
    if as_json:
        told = {"kind": done.kind, "id": done.id, "status": done.status}
        show_json({**told, "repaired": done.was_damaged, "lost": [*done.lost]})
    else:
        click.echo(repair_text(done))

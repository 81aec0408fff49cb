"""micontrol drill: evicts a real run on purpose."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mitorch_service.cli.parameters.parameter_types import FilePath, Number, WholeNumber

if TYPE_CHECKING:
    from mitorch_service.models.training import Training
    from mitorch_service.settings import Settings
    from mitorch_service.stores.base import Store

_EPOCHS, _SECONDS = 8, 1.0  # of the program that is trained without a config
_LOCAL_WAIT, _CLOUD_WAIT = 0.3, 2.0  # seconds between passes


@click.command()
@click.argument("cluster")
@click.option(
    "--config",
    type=FilePath(exists=True, dir_okay=False, path_type=Path),
    help="Train this config. [default: a small program that needs no data set]",
)
@click.option("--after", type=WholeNumber(1), default=3, show_default=True, help="Evict the run after this epoch.")
@click.option("--minutes", type=Number(0.1, 1e5), default=60.0, show_default=True, help="Give up after so long.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def drill(context: click.Context, cluster: str, config: Path | None, after: int, minutes: float, as_json: bool) -> None:
    """Evict a run on CLUSTER on purpose, and see that its training resumes with the curve that it would have had.

    Two equal trainings are queued on the cluster, one is evicted; passes are made until both have ended. Exit code 1:
    the training did not resume, or its curve differs.
    """
    from mitorch_service.cli.control_commands.control_run import open_controller
    from mitorch_service.cli.views.control.drill import show_drill, show_drill_json
    from mitorch_service.operations.drill import Drill
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_backends, open_store

    settings = read_settings()
    known = {one.name: one for one in settings.clusters}
    if cluster not in known:
        raise click.BadParameter(f"{cluster!r} is not known; known: {', '.join(known)}", param_hint="CLUSTER")
    store = open_store(settings, create=True)
    store.prepare()
    evicted, undisturbed = (_queue(store, settings, cluster, config) for _ in range(2))
    controller = open_controller(settings, store, None)
    end = time.monotonic() + 60 * minutes
    pause = _LOCAL_WAIT if known[cluster].kind == "local" else _CLOUD_WAIT
    report = Drill(store, open_backends(settings)[cluster], evicted, undisturbed, after).run(
        lambda: controller.tick(store.now()), lambda: time.monotonic() < end, lambda: time.sleep(pause)
    )
    (show_drill_json if as_json else show_drill)(cluster, report)
    context.exit(0 if report.passed else 1)


def _queue(store: Store, settings: Settings, cluster: str, file: Path | None) -> Training:
    """Queues one of the two trainings, on that cluster only, before everything else."""
    from mitorch_service.cli import drill_program as program
    from mitorch_service.cli.parameters.arguments import read_config
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.models.training import Training
    from mitorch_service.submission.submission import Options, build_submission, submit
    from mitorch_service.wiring import open_config_checks

    source, data = ("the drill's program", _program()) if file is None else read_config(str(file))
    folder = Path(program.__file__).parent if file is None else file.parent
    resources: Any = data.get("resources") or {}
    data = data if "script" in data else {"seed": 1, **data}  # else the two would differ
    data = {**data, "resources": {**resources, "cluster": cluster}}
    options = Options(priority=-1000, name=f"drill {cluster}", tags=("drill=micontrol",), user=settings.user)
    checks = open_config_checks(settings, folder)
    training = build_submission(store, source, data, options, store.now(), checks)
    if not isinstance(training, Training):
        raise InvalidInput(source, [Problem("job_type", "is a search: give the config of one training")])
    submit(store, training)
    return training


def _program() -> dict[str, Any]:
    command = "python drill_training.py {parameters}"
    return {
        "script": {"command": command, "source": "drill_training.py"},
        "parameters": {"epochs": _EPOCHS, "seconds": _SECONDS},
        "max_epochs": _EPOCHS,
    }

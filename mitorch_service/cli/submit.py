"""misubmit: queue a training or a search job."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets
from mitorch_service.cli.parameters.parameter_types import FilePath, WholeNumber

if TYPE_CHECKING:
    from mitorch_service.settings import Settings
    from mitorch_service.stores.base import Store
    from mitorch_service.submission.submission import Options


@click.command(name="misubmit")
@click.argument("config", required=False, type=FilePath(dir_okay=False, allow_dash=True))
@click.option(
    "--many",
    metavar="SOURCE",
    type=FilePath(allow_dash=True),
    help="Instead of CONFIG: a file with one config per line, a folder with *.json or *.yaml files (and folders), -.",
)
@click.option(
    "--priority",
    type=WholeNumber(-(2**31), 2**31 - 1),
    default=100,
    show_default=True,
    help="Lower first.",
)
@click.option(
    "--dataset",
    metavar="NAME[:V]",
    shell_complete=complete_datasets,
    help="Overrides the file's; without a version, the newest.",
)
@click.option("--name", help="A name for people.")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="For filtering; may be given more than once.")
@click.option("--explain", is_flag=True, help="Queue nothing: print what would run.")
@click.option("--wait", is_flag=True, help="Wait until it has ended; exit code 1 unless it is completed.")
@click.option("--again", is_flag=True, help="With --many or a file of obdb: queue once more what is completely queued.")
@click.option("--resume-key", metavar="KEY", help="With --many: identifies the submission in place of its content.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    config: str | None,
    many: str | None,
    priority: int,
    dataset: str | None,
    name: str | None,
    tags: tuple[str, ...],
    explain: bool,
    wait: bool,
    again: bool,
    resume_key: str | None,
    as_json: bool,
) -> int:
    """Check the training config or job config in the file CONFIG (- for standard input) and queue it; print its id.

    A job config is recognised by its key job_type. Nothing is written unless the whole file is right. A settings file
    of obdb gives a job or a training for each of its variants, one id per line. exp_config.json of TensorFlow's
    object detection is taken as it is.

    With --many every config of SOURCE is checked first, and nothing is queued if any is wrong. Interrupted and run
    again with the same content (or KEY) and options, it continues where it was cut off; nothing is queued twice.
    """
    _refuse_contradictions(config, many, wait, resume_key)
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.settings import read_settings
    from mitorch_service.submission.sas_expiry import warn_of_storage
    from mitorch_service.submission.submission import Options, parse_tags
    from mitorch_service.wiring import open_store

    settings = read_settings()
    options = Options(
        priority, dataset_ref("--dataset", dataset) if dataset else None, name, parse_tags(tags), settings.user
    )
    warn_of_storage(settings, datetime.now(UTC))
    store = open_store(settings, create=not explain)
    if many is None:
        return _queue_file(store, settings, config or "-", options, again, explain, wait, as_json)
    from mitorch_service.cli.submission.submit_many import queue_many

    queue_many(store, settings, many, options, resume_key, again, explain, as_json)
    return 0


def _queue_file(
    store: Store,
    settings: Settings,
    path: str,
    options: Options,
    again: bool,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    from mitorch_service.cli.parameters.arguments import read_config
    from mitorch_service.models.config.legacy_formats import is_exp_config, is_obdb

    source, data = read_config(path)
    if is_obdb(data):
        from mitorch_service.cli.submission.submit_obdb import queue_obdb

        return queue_obdb(
            store, settings, source, data, options, again=again, explain=explain, wait=wait, as_json=as_json
        )
    folder = Path() if path == "-" else Path(path).parent
    if is_exp_config(data) and not again:
        from mitorch_service.cli.submission.submit_exp_config import queue_exp_config

        return queue_exp_config(
            store, settings, source, data, folder, options, explain=explain, wait=wait, as_json=as_json
        )
    if again:
        raise click.UsageError("--again belongs to --many and to files of obdb.")
    from mitorch_service.cli.submission.submit_one import queue_one

    return queue_one(store, settings, source, data, folder, options, explain=explain, wait=wait, as_json=as_json)


def _refuse_contradictions(config: str | None, many: str | None, wait: bool, key: str | None) -> None:
    if (config is None) == (many is None):
        raise click.UsageError("Give either CONFIG or --many SOURCE.")
    if many is None and key is not None:
        raise click.UsageError("--resume-key belongs to --many.")
    if many is not None and wait:
        raise click.UsageError("--wait waits for one; see miquery and micontrol run --until-idle for many.")

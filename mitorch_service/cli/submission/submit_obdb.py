"""misubmit with a settings file of obdb: imports its data, queues a job or training for each of its variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from pydantic import JsonValue

from mitorch_service.cli.submission.obdb_results import RESULTS, tell_results
from mitorch_service.cli.views.controller import warn_of_missing_controller
from mitorch_service.cli.views.group import show_group, show_group_explanation
from mitorch_service.cli.views.slow_storage import told_if_slow
from mitorch_service.cli.views.submitted import wait_for_all
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.obdb.results import expect_results
from mitorch_service.interop.obdb.variant_configs import variant_configs
from mitorch_service.models.config.obdb import ObdbFile, ObdbSettings, read_obdb
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.group import build_group, check_group, submit_group
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.submission import Options
from mitorch_service.wiring import open_config_checks

DATASET = "obdb"  # the name of the data set that a settings file makes
_NO_ADDRESS = (
    "needs obdb's database: set MITORCH_OBDB_URI to mongodb://HOST:PORT/?authSource=annotations with user and "
    "password, or MONGODB_USERNAME and MONGODB_PASSWORD (and MONGODB_PORT) as for obdb; or name a registered data set "
    "by --dataset"
)


def queue_obdb(
    store: Store,
    settings: Settings,
    source: str,
    data: dict[str, JsonValue],
    options: Options,
    *,
    again: bool,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queues or explains the variants; returns the exit code. Raises InvalidInput, and writes nothing, if anything is
    wrong."""
    file, problems = read_obdb(data)
    if file is None:
        raise InvalidInput(source, problems)
    checks = open_config_checks(settings, storing=told_if_slow(settings))
    configs, now = variant_configs(file), store.now()
    named = options.dataset or file.settings.dataset
    _tell_ignored(source, file, named)
    lookups = Lookups(store)
    if named is None and _tasks_to_import(source, file.settings, settings):
        planned = DatasetRef(name=DATASET)
        lookups, options = Lookups(store, planned=planned), replace(options, dataset=planned)
        check_group(lookups, source, configs, options, checks)  # before anything is written
        if not explain:
            options = replace(options, dataset=_import(source, file.settings, settings))
            lookups = Lookups(store)
    submissions = check_group(lookups, source, configs, options, checks)
    group = build_group(store, data, submissions, options, now, again, tag="variant")
    if explain:
        show_group_explanation(source, store, group, as_json)
        return 0
    show_group(source, group, submit_group(store, group), as_json)
    asked = file.settings
    remarks = expect_results(
        settings.home / RESULTS, settings.file_access, asked.save_dir, asked.writer_dir, group.documents
    )
    for remark in remarks:
        click.echo(f"{source}: {remark}", err=True)
    warn_of_missing_controller(store)
    code = wait_for_all(store, group.documents) if wait else 0
    tell_results(store, settings)
    return code


def _tell_ignored(source: str, file: ObdbFile, named: DatasetRef | None) -> None:
    unread = [name for name in ("annotations_list", "dataset_dir") if getattr(file.settings, name) is not None]
    if named is not None and unread:
        click.echo(f"{source}: not read, as the data set is {named}: {', '.join(unread)}", err=True)
    if file.ignored:
        click.echo(f"{source}: without a meaning here: {', '.join(file.ignored)}", err=True)


def _tasks_to_import(source: str, asked: ObdbSettings, settings: Settings) -> Sequence[str]:
    """Returns the recordings that the file lists. Raises InvalidInput if something is missing to find them."""
    tasks = asked.annotations_list or []
    problems = []
    if tasks and asked.dataset_dir is None:
        problems.append(Problem("dataset_dir", "is required with annotations_list: the folder of the images"))
    if tasks and settings.obdb_uri is None:
        problems.append(Problem("annotations_list", _NO_ADDRESS))
    if problems:
        raise InvalidInput(source, problems)
    return tasks


def _import(source: str, asked: ObdbSettings, settings: Settings) -> DatasetRef:
    from mitorch_service.cli.dataset_commands.import_annotations import import_and_register
    from mitorch_service.interop.obdb.dataset_import import Selection

    assert settings.obdb_uri is not None and asked.dataset_dir is not None  # checked before
    selection = Selection(
        settings.obdb_uri,
        asked.annotations_list or [],
        Path(asked.dataset_dir).expanduser(),
        val_every=asked.val_every,
    )
    ref, remarks = import_and_register(settings, selection, DATASET)
    for remark in remarks:
        click.echo(f"{source}: {remark}", err=True)
    return ref

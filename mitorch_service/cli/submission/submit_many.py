"""misubmit --many: queues the configs of one source."""

from __future__ import annotations

import sys

from mitorch_service.cli.views.controller import warn_of_missing_controller
from mitorch_service.cli.views.many import ShownProgress, show_preview, show_result
from mitorch_service.cli.views.slow_storage import told_if_slow
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.many import bulk_folder, submit_many
from mitorch_service.submission.receipt import writing
from mitorch_service.submission.source import Source
from mitorch_service.submission.submission import Options
from mitorch_service.wiring import open_config_checks


def queue_many(
    store: Store,
    settings: Settings,
    path: str,
    options: Options,
    key: str | None,
    again: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Queues what is not queued yet of the source at `path`, and prints how many that are. Raises InvalidInput, and
    queues nothing, if any of its configs is wrong."""
    folder = bulk_folder(settings)
    with writing(folder):
        settings.file_access.make_folder(folder)
    source = Source(path, folder, sys.stdin.buffer)
    checks = open_config_checks(settings, storing=told_if_slow(settings))
    with submit_many(
        store, folder, source, options, checks, ShownProgress(), key=key, again=again, dry_run=explain
    ) as result:
        if result.preview is not None:
            show_preview(result, as_json)
        else:
            show_result(result, as_json)
            warn_of_missing_controller(store)

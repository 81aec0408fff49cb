"""What misubmit does with a file: read, check, queue or explain, wait."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitorch_service.cli.submit_checks import ConfigChecks
from mitorch_service.cli.views.output import text
from mitorch_service.cli.views.script import script_fields, without_record
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.job import Job
from mitorch_service.models.script import is_script
from mitorch_service.models.status import ENDED, ENDED_JOBS
from mitorch_service.models.training import Training
from mitorch_service.models.validation import MAX_CONFIG_BYTES, parse_object
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.check_resources import resource_check
from mitorch_service.submission.submission import ConfigCheck, Options, build_submission

_POLL_SECONDS = 1.0
_CODE_FIELDS = ("code", "submitted with", "commit")


def read_config(path: str) -> tuple[str, dict[str, Any]]:
    """The name and the JSON object of a config file; ``-`` reads standard input. Raises InvalidInput."""
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_CONFIG_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise InvalidInput(name, [Problem("", f"cannot be read: {error.strerror}")]) from error
    return name, parse_object(name, content)


def dataset_ref(argument: str, text: str) -> DatasetRef:
    """NAME or NAME:VERSION from the command line. Raises InvalidInput naming the argument."""
    try:
        return DatasetRef.parse(text)
    except ValueError as error:
        raise InvalidInput(argument, [Problem(text, str(error))]) from error


def checked(
    store: Store,
    settings: Settings,
    path: str,
    config: tuple[str, dict[str, Any]],
    options: Options,
    upload: bool = True,
) -> Training | Job:
    """The document that a file asks for, which read_config has read, not yet written; the code of a script is stored
    with `upload`. Raises InvalidInput with every problem, ArtifactError."""
    source, data = config
    check = config_check(settings, Path() if path == "-" else Path(path).parent, upload)
    return build_submission(store, source, data, options, datetime.now(UTC), check)


def config_check(settings: Settings, folder: Path = Path(), upload: bool = True) -> ConfigCheck:
    """What is checked of a config beside its form: names that the engine knows, and that some cluster can run it. The
    code of a script is relative to the folder."""
    return ConfigChecks(settings, resource_check(settings), folder, upload)


def explanation(document: Training | Job, store: Store | None = None) -> list[str]:
    """What would run, in lines for a person; with a store what it takes, as far as earlier trainings tell."""
    if isinstance(document, Training):
        what = f"One training on {document.dataset}, {document.max_epochs} epochs:"
        if is_script(document.config):
            what = f"One script on {document.dataset}:"
        code = [f"{name}: {text(value)}" for name, value in script_fields(document.config) if name in _CODE_FIELDS]
        return [what, json.dumps(without_record(document.config)), *code]
    from mitorch_service.reports.job_explanation import job_explanation  # which loads the searches

    return job_explanation(document, store)


def wait_for(store: Store, document: Training | Job) -> str:
    """Waits until a training or job has ended (something else must run the controller); returns its status."""
    while True:
        if isinstance(document, Training):
            status = store.trainings.get_training(document.id).status.value
            ended = status in ENDED
        else:
            status = store.jobs.get_job(document.id).status.value
            ended = status in ENDED_JOBS
        if ended:
            return status
        time.sleep(_POLL_SECONDS)

"""Builds and queues what is submitted on this server, as `misubmit` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.script import AnyConfig
from mitorch_service.models.config.validation import parse_object
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.submission.submission import Options, build_submission, parse_tags
from mitorch_service.submission.submission import submit as add
from mitorch_service.viewer.context import Context
from mitorch_service.wiring import open_config_checks

_MOST_YAML = 100_000  # characters: a second of one core, for which other requests wait


@dataclass(frozen=True)
class Written:
    """A config as the text of a file."""

    text: str
    format: Literal["json", "yaml"] = "json"

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Written:
        """The text of an object, so that it passes the same checks as a file."""
        return cls(json.dumps(config))

    def source(self) -> str:
        """The name of the config in messages; its end tells the format."""
        return "config" if self.format == "json" else "config.yaml"


def build(context: Context, written: Written, options: Mapping[str, Any]) -> Training | Job:
    """Builds the document, which is not queued yet. `options`: dataset, name, tags, priority. Raises InvalidInput."""
    source = written.source()
    if written.format == "yaml" and len(written.text) > _MOST_YAML:
        problem = f"has {len(written.text):,} characters; YAML of more than {_MOST_YAML:,} takes the server too long"
        raise InvalidInput(source, [Problem("", f"{problem}: write it as JSON, or submit it with misubmit")])
    data = parse_object(source, written.text.encode("utf-8", "surrogatepass"))
    dataset = options["dataset"]
    chosen = Options(
        options["priority"],
        None if dataset is None else _dataset(dataset),
        options["name"],
        parse_tags(options["tags"]),
        context.settings.user,
    )
    checks = open_config_checks(context.settings, upload=False)

    def check(config: AnyConfig | None, given: Mapping[str, JsonValue]) -> list[Problem]:
        """No `CodeKeeper`: no folder of this machine is stored for whoever sends its path."""
        return checks(config, given)

    with context.reading() as store:
        return build_submission(store, source, data, chosen, context.clock(), check)


def queue(context: Context, document: Training | Job) -> str:
    """Queues it; returns its id."""
    return add(context.store, document)


def _dataset(text: str) -> DatasetRef:
    try:
        return DatasetRef.parse(text)
    except ValueError as error:
        raise InvalidInput("dataset", [Problem(repr(text), str(error))]) from error

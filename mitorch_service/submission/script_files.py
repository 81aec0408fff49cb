"""Checks that the data set has the files that the command of a script names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import NO_DATASET, dataset_files
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.submission.lookups import Lookups


def file_problems(
    lookups: Lookups, configs: Iterable[Mapping[str, JsonValue]], dataset: DatasetRef | None
) -> list[Problem]:
    """Returns the problems of valid configs on a data set at a version."""
    named = {name for config in configs for name in dataset_files(config)}
    if not named or dataset is None:
        return []
    there = lookups.splits(dataset) if dataset != NO_DATASET else frozenset[str]()
    if there:
        why, remedy = f"the data set {dataset} has none", "remove it, or"
    else:
        why, remedy = "the config has no dataset", 'add "dataset": "NAME", or'
    return [
        Problem(
            "script.command",
            f"{{{name}}} is a file of the data set, and {why}: {remedy} write {{{{{name}}}}} for the text {{{name}}}",
        )
        for name in sorted(named - there)
    ]

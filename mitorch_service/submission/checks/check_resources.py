"""Checks that a training could ever run on the known clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from mitorch_service.controller.plan.placing.placement import Cluster, unplaceable
from mitorch_service.errors import Problem
from mitorch_service.models.config.script import AnyConfig
from mitorch_service.models.config.training_config import ResourcesConfig
from mitorch_service.models.training import Resources
from mitorch_service.settings import Settings
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.wording.suggestion import did_you_mean


def resource_check(settings: Settings) -> ConfigCheck:
    """Returns a check for resources that no configured cluster has. It finds nothing if the settings name no clusters,
    as on a machine that only submits."""
    clusters = [Cluster.of(config) for config in settings.clusters] if settings.clusters_given else []

    def check(config: AnyConfig | None, written: Mapping[str, JsonValue]) -> list[Problem]:
        wanted = config.resources if config is not None else None
        return [] if wanted is None or not clusters else _problems(wanted, clusters)

    return check


def _problems(wanted: ResourcesConfig, clusters: Sequence[Cluster]) -> list[Problem]:
    known = [cluster.name for cluster in clusters]
    unknown = [name for name in wanted.cluster or () if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        problem = f"{unknown[0]!r} is not in MITORCH_CLUSTERS; {hint}known: {', '.join(known)}"
        return [Problem("resources.cluster", problem)]
    why = unplaceable(Resources.model_validate(wanted.model_dump()), clusters)
    return [] if why is None else [Problem("resources", f"no cluster in MITORCH_CLUSTERS can ever hold it: {why}")]

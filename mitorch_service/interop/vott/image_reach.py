"""Decides how the images that the consumer has downloaded reach the nodes that train on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import SettingsError
from mitorch_service.settings import Settings


@dataclass(frozen=True)
class ImageReach:
    """The clusters on which trainings on downloaded images may run, and the place from which they read these."""

    clusters: tuple[str, ...] | None  # by name; None: all
    stored: bool  # in the artifact store; else below the home of this machine


def image_reach(settings: Settings) -> ImageReach:
    """Prefers the files of the home, where every cluster sees them, and else what more clusters see. Raises
    SettingsError if no cluster sees either."""
    home = [one.name for one in settings.clusters if _sees(one, settings.home)]
    folder = settings.storage_folder
    stored = [one.name for one in settings.clusters if folder is None or _sees(one, folder)]
    is_stored = len(stored) > len(home)
    reached = tuple(stored if is_stored else home)
    if not reached:
        others = ", ".join(one.name for one in settings.clusters)
        problem = f"{others}: no cluster sees {settings.home}, to which the images of annotations are downloaded"
        remedy = (
            "Set MITORCH_STORAGE_URL to a blob container, or with Azure ML unset it, for that of the workspace: they "
            'are then read from there. Or add {"name": "local", "kind": "local"} on a machine with a GPU, or for a '
            "Slurm cluster set MITORCH_HOME to a folder below the one that its nodes share."
        )
        raise SettingsError("MITORCH_CLUSTERS", problem, remedy)
    return ImageReach(None if len(reached) == len(settings.clusters) else reached, is_stored)


def _sees(cluster: ClusterConfig, folder: Path) -> bool:
    """Whether its nodes see a folder under the same path: this machine, and a Slurm cluster that shares it."""
    if isinstance(cluster, SlurmCluster):
        return cluster.folder is None or folder.is_relative_to(cluster.folder)
    return isinstance(cluster, LocalCluster)

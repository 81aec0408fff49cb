"""Checks at submission whether the nodes of a cloud can keep what a run makes."""

from __future__ import annotations

from mitorch_service.settings import Settings


def node_storage_problem(settings: Settings) -> str | None:
    """The warning that runs in a cloud would write their models to folders of their nodes, which end with these. It
    refuses nothing: their results are in the database."""
    clouds = [cluster.name for cluster in settings.clusters if cluster.kind == "azureml"]
    if settings.storage_folder is None or not clouds:
        return None
    return (
        f"the storage is a folder, {settings.storage_folder}: what runs on {', '.join(clouds)} keep there is lost with "
        "their nodes, models too. Set MITORCH_STORAGE_URL to a blob container, or unset it, for that of the workspace"
    )

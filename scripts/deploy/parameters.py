"""Prints the parameters of main.bicep from arguments and environment: `python -m scripts.deploy.parameters`.

Checks everything before Azure is called. The output contains secrets: write it to a file that only its owner can read,
never to a command line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import MiTorchError, SettingsError
from mitorch_service.settings import Settings, read_settings
from mitorch_service.webhook_settings.webhook_list import webhooks_text

_PRINCIPAL = "MITORCH_AML_AUTH"
_SCHEDULE = re.compile(r"[\d*/,-]+( +[\d*/,A-Za-z-]+){5}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def main() -> int:
    """Prints the parameters as JSON for `az deployment`, or a problem with exit code 2."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--location", required=True)
    parser.add_argument("--clusters", required=True, type=Path)
    parser.add_argument("--schedule", required=True)
    parser.add_argument("--node-identity", action="append", default=[])
    given = parser.parse_args()
    try:
        clusters = _read(given.clusters)
        values = parameters(given.name, given.location, clusters, given.schedule, given.node_identity, os.environ)
    except MiTorchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    document = {name: {"value": value} for name, value in values.items()}
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    sys.stdout.write(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "parameters": document}))
    return 0


def parameters(
    name: str, location: str, clusters: str, schedule: str, node_identities: Sequence[str], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the values by parameter. `clusters`: the JSON of MITORCH_CLUSTERS. Raises SettingsError."""
    _match("--name", name, r"[a-z][a-z0-9-]{1,15}[a-z0-9]", "Use 3 to 17 lower-case letters, digits and dashes.")
    _match("--location", location, r"[a-z0-9]+", "Use a region's short name, such as westeurope.")
    if not _SCHEDULE.fullmatch(schedule):
        remedy = "Write six fields, the seconds first: '0 */5 * * * *' is every five minutes."
        raise SettingsError("--schedule", f"{schedule!r} is not a schedule", remedy)
    for one in node_identities:
        if not _GUID.fullmatch(one):
            remedy = "Give the object (principal) id of a compute cluster's identity."
            raise SettingsError("--node-identity", f"{one!r} is not an object id", remedy)
    settings = read_settings({**environ, "MITORCH_CLUSTERS": clusters})
    storage = environ.get("MITORCH_STORAGE_URL", "")
    _check_secrets(settings, storage)
    return {
        "name": name,
        "location": location,
        "schedule": schedule,
        "clusters": json.dumps(_without_passwords(clusters), separators=(",", ":")),
        "workspaces": _workspaces(settings),
        "databaseName": settings.db_name,
        "databaseUri": settings.db_uri,
        "storageUrl": storage,
        "amlAuth": environ.get(_PRINCIPAL, "") if _PRINCIPAL in clusters else "",
        "webhookList": webhooks_text(settings.webhooks),
        "nodePrincipalIds": list(node_identities),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("--clusters", f"{path} cannot be read ({error})", "Name a JSON file.") from error


def _match(option: str, value: str, pattern: str, remedy: str) -> None:
    if not re.fullmatch(pattern, value):
        raise SettingsError(option, f"{value!r} cannot be used", remedy)


def _check_secrets(settings: Settings, storage: str) -> None:
    if settings.sqlite_path is not None:
        remedy = "Export the mongodb:// or mongodb+srv:// URI of a database that Azure and the nodes can reach."
        raise SettingsError("MITORCH_DB_URI", "it is not set, or names a file of this machine", remedy)
    if storage and settings.storage_folder is not None:
        remedy = "Unset it: the artifacts then go into the storage account that is created."
        raise SettingsError("MITORCH_STORAGE_URL", "it is a folder of this machine", remedy)


def _without_passwords(clusters: str) -> list[dict[str, Any]]:
    """Returns the validated clusters without passwords, because many people can see the app's settings."""
    listed: list[dict[str, Any]] = json.loads(clusters)
    for number, cluster in enumerate(listed):
        if "auth" in cluster and cluster["auth"] != {"env": _PRINCIPAL}:
            remedy = f'Write {{"env": "{_PRINCIPAL}"}} and export that, or leave auth out for the app\'s own identity.'
            raise SettingsError("--clusters", f"[{number}].auth: would show a password, or is not passed on", remedy)
    return listed


def _workspaces(settings: Settings) -> list[dict[str, str]]:
    found = {}
    for cluster in settings.clusters:
        if not isinstance(cluster, AzureMLCluster):
            remedy = "A Function can run no training: name clusters of Azure ML only."
            raise SettingsError("--clusters", f"{cluster.name} is of kind {cluster.kind}", remedy)
        if cluster.resource_group is None:
            remedy = "Add resource_group: the Function's identity gets its roles there."
            raise SettingsError("--clusters", f"{cluster.name} names no resource group", remedy)
        place = (cluster.subscription_id, cluster.resource_group, cluster.workspace)
        found[place] = dict(zip(("subscriptionId", "resourceGroup", "name"), place, strict=True))
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())

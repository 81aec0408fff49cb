"""Accesses the datastores and models of an Azure ML workspace through its resource manager, without azureml-core."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mitorch_service.backends.azureml.datastore_errors import moved_datastore, no_default_datastore, unknown_datastore
from mitorch_service.backends.azureml.v2.code_upload import upload_folder
from mitorch_service.backends.azureml.v2.connection import Connection
from mitorch_service.backends.azureml.v2.sdk import HttpResponseError
from mitorch_service.backends.azureml.v2.sdk_errors import sdk_errors, status_of
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.optional import DatastoreRegistry, ModelEntry, ModelRegistry, RegisteredModel
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.models.blob_storage.datastore import Datastore

_TRIES = 3  # to register a version that others may take in the same moment


class AzureMLV2Assets(DatastoreRegistry, ModelRegistry):
    """The datastores and models of a cluster's workspace."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster

    def datastores(self) -> list[Datastore]:
        with sdk_errors(self._cluster.name):
            return sorted(map(_datastore, self._blob_datastores()), key=lambda datastore: datastore.name)

    def datastore(self, name: str) -> Datastore:
        with sdk_errors(self._cluster.name):
            found = {store["name"].lower(): store for store in self._blob_datastores()}
            if name.lower() not in found:
                raise unknown_datastore(self._cluster, name, sorted(found))
            return self._with_secrets(found[name.lower()])

    def default_datastore(self) -> Datastore:
        with sdk_errors(self._cluster.name):
            for store in self._blob_datastores():
                if store["properties"].get("isDefault"):
                    return self._with_secrets(store)
            raise no_default_datastore(self._cluster)

    def register_datastore(self, datastore: Datastore) -> None:
        with sdk_errors(self._cluster.name):
            existing = [
                _datastore(store)
                for store in self._blob_datastores()
                if store["name"].lower() == datastore.name.lower()
            ]
            if existing and existing[0].url != datastore.url:
                raise moved_datastore(self._cluster, existing[0], datastore)
            account, _, endpoint = datastore.account.removeprefix("https://").partition(".blob.")
            properties = {
                "datastoreType": "AzureBlob",
                "accountName": account,
                "containerName": datastore.container,
                "endpoint": endpoint,
                "protocol": "https",
                "credentials": _credentials(datastore.sas),
            }
            self._services.arm("PUT", f"/datastores/{datastore.name}", {"properties": properties})

    def register_model(self, entry: ModelEntry) -> RegisteredModel:
        with sdk_errors(self._cluster.name):
            for left in reversed(range(_TRIES)):
                versions = self._versions(entry.name)
                existing = [number for number, tags in versions.items() if dict(entry.identity).items() <= tags.items()]
                if existing:
                    return RegisteredModel(entry.name, min(existing), is_new=left < _TRIES - 1)
                try:
                    self._register(entry, 1 + max(versions, default=0))
                except HttpResponseError as error:
                    if left == 0 or status_of(error) not in (409, 500, 502, 503, 504):
                        raise
            raise AssertionError("the last try returns or raises")

    @cached_property
    def _services(self) -> Services:
        return Connection(self._cluster).services

    def _with_secrets(self, store: dict[str, Any]) -> Datastore:
        secrets = {}
        if (store["properties"].get("credentials") or {}).get("credentialsType") in ("Sas", "AccountKey"):
            secrets = self._services.arm("POST", f"/datastores/{store['name']}/listSecrets", {})
        return _datastore(store, secrets)

    def _blob_datastores(self) -> list[dict[str, Any]]:
        stores = self._services.arm_list("/datastores")
        return [store for store in stores if store["properties"].get("datastoreType") == "AzureBlob"]

    def _versions(self, name: str) -> dict[int, dict[str, str]]:
        """Returns the tags of each version of a model."""
        try:
            found = list(self._services.arm_list(f"/models/{name}/versions"))
        except HttpResponseError as error:
            if status_of(error) != 404:
                raise
            return {}
        return {int(one["name"]): one["properties"].get("tags") or {} for one in found if str(one["name"]).isdecimal()}

    def _register(self, entry: ModelEntry, version: int) -> None:
        """Uploads the files, then creates the version, which is complete if it exists."""
        path = f"/models/{entry.name}/versions/{version}"
        properties = {
            "modelType": "custom_model",
            "modelUri": upload_folder(self._services, path, entry.folder),
            "description": entry.description,
            "tags": {**entry.tags, **entry.identity},
            "properties": dict(entry.properties),
        }
        self._services.arm("PUT", path, {"properties": properties})


def _credentials(sas: str) -> dict[str, Any]:
    if not sas:
        return {"credentialsType": "None"}
    return {"credentialsType": "Sas", "secrets": {"secretsType": "Sas", "sasToken": sas}}


def _datastore(store: dict[str, Any], secrets: dict[str, Any] | None = None) -> Datastore:
    fields = store["properties"]
    endpoint = fields.get("endpoint") or "core.windows.net"
    account = f"{fields.get('protocol') or 'https'}://{fields['accountName']}.blob.{endpoint}"
    known = secrets or {}
    sas, key = str(known.get("sasToken") or ""), str(known.get("key") or "")
    return Datastore(store["name"], account, fields["containerName"], sas.removeprefix("?"), key)

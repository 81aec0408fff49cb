"""Accesses the datastores and models of an Azure ML workspace through azureml-core."""

from __future__ import annotations

import contextlib
import io
from functools import cached_property
from typing import Any

from mitorch_service.backends.azureml.datastore_errors import moved_datastore, no_default_datastore, unknown_datastore
from mitorch_service.backends.azureml.v1.connection import open_workspace
from mitorch_service.backends.azureml.v1.sdk import AzureBlobDatastore, Model, SdkDatastore
from mitorch_service.backends.azureml.v1.sdk_errors import sdk_errors
from mitorch_service.backends.optional import DatastoreRegistry, ModelEntry, ModelRegistry, RegisteredModel
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.models.blob_storage.datastore import Datastore


class AzureMLAssets(DatastoreRegistry, ModelRegistry):
    """The datastores and models of a cluster's workspace."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster

    def datastores(self) -> list[Datastore]:
        with sdk_errors(self._cluster.name):
            found = [_datastore(store) for store in self._blob_datastores()]
        return sorted(found, key=lambda datastore: datastore.name)

    def datastore(self, name: str) -> Datastore:
        with sdk_errors(self._cluster.name):
            found = {store.name.lower(): store for store in self._blob_datastores()}
            if name.lower() not in found:
                raise unknown_datastore(self._cluster, name, sorted(found))
            return _datastore(SdkDatastore.get(self._workspace, name), with_credential=True)

    def default_datastore(self) -> Datastore:
        with sdk_errors(self._cluster.name):
            store = self._workspace.get_default_datastore()
            if not isinstance(store, AzureBlobDatastore):
                raise no_default_datastore(self._cluster)
            return _datastore(store, with_credential=True)

    def register_datastore(self, datastore: Datastore) -> None:
        with sdk_errors(self._cluster.name):
            existing = [
                _datastore(store) for store in self._blob_datastores() if store.name.lower() == datastore.name.lower()
            ]
            if existing and existing[0].url != datastore.url:
                raise moved_datastore(self._cluster, existing[0], datastore)
            account, _, endpoint = datastore.account.removeprefix("https://").partition(".blob.")
            SdkDatastore.register_azure_blob_container(
                self._workspace,
                datastore.name,
                datastore.container,
                account,
                sas_token=datastore.sas or None,
                endpoint=endpoint,
                overwrite=bool(existing),
            )

    def register_model(self, entry: ModelEntry) -> RegisteredModel:
        with sdk_errors(self._cluster.name):
            existing = self._versions(entry)
            if existing:
                return RegisteredModel(entry.name, min(existing), is_new=False)
            version = self._upload(entry)
            existing = self._versions(entry)
            # The SDK repeats a call whose answer is lost, and each call creates a version: only the first is kept.
            first = min(existing, default=version)
            for number, copy in existing.items():
                if number != first:
                    copy.delete()
            return RegisteredModel(entry.name, first, is_new=True)

    @cached_property
    def _workspace(self) -> Any:
        return open_workspace(self._cluster)

    def _blob_datastores(self) -> list[Any]:
        return [store for store in self._workspace.datastores.values() if isinstance(store, AzureBlobDatastore)]

    def _upload(self, entry: ModelEntry) -> int:
        """Returns the version. The SDK accepts only files below the working folder, and prints its progress."""
        try:
            with contextlib.chdir(entry.folder.parent), contextlib.redirect_stdout(io.StringIO()):
                model = Model.register(
                    self._workspace,
                    entry.folder.name,
                    entry.name,
                    tags={**entry.tags, **entry.identity},
                    properties=dict(entry.properties),
                    description=entry.description,
                )
        except Exception:
            existing = self._versions(entry)  # perhaps only the answer was lost
            if existing:
                return min(existing)
            raise
        return int(model.version)

    def _versions(self, entry: ModelEntry) -> dict[int, Any]:
        """Returns the models with the same identity, by version. Filters again, as the service may return others."""
        identity = dict(entry.identity)
        found = Model.list(self._workspace, name=entry.name, tags=[list(tag) for tag in identity.items()], expand=False)
        return {int(m.version): m for m in found if m.name == entry.name and identity.items() <= m.tags.items()}


def _datastore(store: Any, with_credential: bool = False) -> Datastore:
    account = f"{store.protocol or 'https'}://{store.account_name}.blob.{store.endpoint or 'core.windows.net'}"
    sas, key = (store.sas_token, store.account_key) if with_credential else (None, None)
    return Datastore(store.name, account, store.container_name, (sas or "").removeprefix("?"), key or "")

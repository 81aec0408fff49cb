"""What a workspace of Azure ML keeps beside runs: datastores and models, through azureml-core."""

from __future__ import annotations

import contextlib
import io
from functools import cached_property
from typing import Any

from mitorch_service.backends.azureml.v1.connection import open_workspace
from mitorch_service.backends.azureml.v1.sdk import AzureBlobDatastore, Model, SdkDatastore
from mitorch_service.backends.azureml.v1.sdk_errors import sdk_errors
from mitorch_service.backends.optional import Datastores, ModelEntry, ModelRegistry, RegisteredModel
from mitorch_service.errors import BackendError
from mitorch_service.models.datastore import Datastore
from mitorch_service.models.validation import nearest
from mitorch_service.settings import AzureMLCluster


class AzureMLAssets(Datastores, ModelRegistry):
    """Of the workspace of a cluster, whichever SDK its runs are started with."""

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
                raise self._unknown(name, sorted(found))
            return _datastore(SdkDatastore.get(self._workspace, name), with_credential=True)

    def register_datastore(self, datastore: Datastore) -> None:
        with sdk_errors(self._cluster.name):
            there = [
                _datastore(store) for store in self._blob_datastores() if store.name.lower() == datastore.name.lower()
            ]
            if there and there[0].url != datastore.url:
                problem = f"the datastore {datastore.name} is {there[0].url}, not {datastore.url}"
                raise BackendError(self._cluster.name, problem, "Give the container another name.")
            account, _, endpoint = datastore.account.removeprefix("https://").partition(".blob.")
            SdkDatastore.register_azure_blob_container(
                self._workspace,
                datastore.name,
                datastore.container,
                account,
                sas_token=datastore.sas or None,
                endpoint=endpoint,
                overwrite=bool(there),
            )

    def register_model(self, entry: ModelEntry) -> RegisteredModel:
        with sdk_errors(self._cluster.name):
            there = self._versions(entry)
            if there:
                return RegisteredModel(entry.name, min(there), is_new=False)
            version = self._upload(entry)
            there = self._versions(entry)
            # The SDK repeats a call whose answer is lost, and each makes a version of its own: the first stays.
            first = min(there, default=version)
            for number, copy in there.items():
                if number != first:
                    copy.delete()
            return RegisteredModel(entry.name, first, is_new=True)

    @cached_property
    def _workspace(self) -> Any:
        return open_workspace(self._cluster)

    def _blob_datastores(self) -> list[Any]:
        return [store for store in self._workspace.datastores.values() if isinstance(store, AzureBlobDatastore)]

    def _upload(self, entry: ModelEntry) -> int:
        """Returns the version. The SDK takes nothing from outside the working folder, and prints what it does."""
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
            there = self._versions(entry)  # only the answer may be lost
            if there:
                return min(there)
            raise
        return int(model.version)

    def _versions(self, entry: ModelEntry) -> dict[int, Any]:
        """The models of the same identity, by version. The service's answer is not relied on to be filtered."""
        identity = dict(entry.identity)
        found = Model.list(self._workspace, name=entry.name, tags=[list(tag) for tag in identity.items()], expand=False)
        return {int(m.version): m for m in found if m.name == entry.name and identity.items() <= m.tags.items()}

    def _unknown(self, name: str, known: list[str]) -> BackendError:
        near = nearest(name, known)
        hint = f"Did you mean {near!r}? " if near else ""
        there = f"It has {', '.join(known)}." if known else "It has none of a blob container."
        problem = f"the workspace {self._cluster.workspace} has no datastore {name!r}"
        return BackendError(self._cluster.name, problem, f"{hint}{there} See midataset datastore register.")


def _datastore(store: Any, with_credential: bool = False) -> Datastore:
    account = f"{store.protocol or 'https'}://{store.account_name}.blob.{store.endpoint or 'core.windows.net'}"
    sas, key = (store.sas_token, store.account_key) if with_credential else (None, None)
    return Datastore(store.name, account, store.container_name, (sas or "").removeprefix("?"), key or "")

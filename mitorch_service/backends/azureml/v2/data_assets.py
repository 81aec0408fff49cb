"""Reads a workspace's data assets through azure-ai-ml."""

from __future__ import annotations

from mitorch_service.backends.azureml.http_errors import no_data_asset
from mitorch_service.backends.azureml.v2.connection import open_client
from mitorch_service.backends.azureml.v2.sdk_errors import sdk_errors, status_of
from mitorch_service.backends.optional import DataAsset, DataAssets
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster


class AzureMLV2DataAssets(DataAssets):
    """The data assets of a cluster's workspace."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster

    def data_asset(self, name: str, version: str | None) -> DataAsset:
        with sdk_errors(self._cluster.name):
            client = open_client(self._cluster)
            chosen = {"label": "latest"} if version is None else {"version": version}
            try:
                found = client.data.get(name, **chosen)
            except Exception as error:
                if status_of(error) != 404 and "not found" not in str(error):
                    raise
                raise no_data_asset(self._cluster, name, version, "data asset") from None
            return DataAsset(name, str(found.version), str(found.type), None, str(found.path))

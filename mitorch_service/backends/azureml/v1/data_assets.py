"""Reads the definitions of a workspace's data sets through azureml-core.

`Dataset.get_by_name` needs azureml-dataprep, which is large and has no wheels for every platform. The client below it,
which azureml-core has by itself, returns the same definition.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from mitorch_service.backends.azureml.http_errors import no_data_asset
from mitorch_service.backends.azureml.v1.connection import open_workspace
from mitorch_service.backends.azureml.v1.sdk import dataset_client
from mitorch_service.backends.azureml.v1.sdk_errors import sdk_errors, status_of
from mitorch_service.backends.optional import DataAsset, DataAssets
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster


class AzureMLDataSets(DataAssets):
    """The File and Tabular data sets of a cluster's workspace."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster

    def data_asset(self, name: str, version: str | None) -> DataAsset:
        with sdk_errors(self._cluster.name):
            workspace = self._workspace
            place = workspace.subscription_id, workspace.resource_group, workspace.name
            try:
                found = dataset_client(workspace).dataset.get_dataset_by_name(*place, name, version)
            except Exception as error:
                if status_of(error) != 404:
                    raise
                raise no_data_asset(self._cluster, name, version, "data set") from None
            latest = found.latest
            return DataAsset(name, str(latest.version_id), str(found.dataset_type), _definition(latest.dataflow), None)

    @cached_property
    def _workspace(self) -> Any:
        return open_workspace(self._cluster)


def _definition(dataflow: str) -> str:
    """Returns what dataprep has written since its second version; an older one is told as it is stored."""
    stored = json.loads(dataflow)
    return str(stored.get("meta", {}).get("RsDataflow") or dataflow)

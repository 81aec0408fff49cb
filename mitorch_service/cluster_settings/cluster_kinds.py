"""The kinds of clusters."""

from __future__ import annotations

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster

ClusterConfig = LocalCluster | AzureMLCluster | SlurmCluster  # an entry of MITORCH_CLUSTERS, by its `kind`
KINDS: dict[str, type[LocalCluster] | type[AzureMLCluster] | type[SlurmCluster]] = {
    "local": LocalCluster,
    "azureml": AzureMLCluster,
    "slurm": SlurmCluster,
}

"""The complete request for a run on Azure ML, as a value. Imports no SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mitorch_service.backends.azureml.code_snapshot import ENTRY
from mitorch_service.backends.azureml.states import LIFETIME, LOW_PRIORITY_LIFETIME
from mitorch_service.backends.azureml.vault import GPUS_VARIABLE, LIFETIME_VARIABLE, PREFIX_VARIABLE
from mitorch_service.backends.base import RunRequest
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.models.training import Resources, run_name

_LIFETIME_MARGIN = timedelta(hours=6)  # for the image and the last epoch


@dataclass(frozen=True)
class AzureMLRequest(RunRequest):
    """A run on Azure ML. `command` is a script of the code snapshot with its arguments; several nodes run it as one
    PyTorch job."""

    compute: str = ""
    experiment: str = ""
    environment: str | None = None  # a registered environment or a Docker image; None: ours, with pinned requirements
    snapshot: str = ""  # the hash of the code
    variables: Mapping[str, str] = field(default_factory=dict)  # environment variables of the run, without secrets
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def processes(self) -> int:
        """The total number of processes: one per requested GPU, and at least one per node."""
        return self.nodes * max(1, self.gpus or 1)

    @property
    def communicator(self) -> str | None:
        """The communication backend of PyTorch's processes; None for a single node."""
        if self.nodes == 1:
            return None
        return "Gloo" if self.gpus == 0 else "Nccl"


def _of_node(cluster: AzureMLCluster, gpus: int | None) -> dict[str, str]:
    lifetime = (LOW_PRIORITY_LIFETIME if cluster.low_priority else LIFETIME) - _LIFETIME_MARGIN
    variables = {LIFETIME_VARIABLE: f"{lifetime.total_seconds():.0f}"}
    return {**variables, GPUS_VARIABLE: str(gpus)} if gpus else variables


def build_request(
    cluster: AzureMLCluster,
    training_id: str,
    attempt: int,
    resources: Resources,
    snapshot: str,
    variables: Mapping[str, str],
) -> AzureMLRequest:
    """Builds the request; the same arguments give the same request. `variables`: those of every run of the cluster."""
    gpus = cluster.gpus if resources.gpus is None else resources.gpus
    return AzureMLRequest(
        name=run_name(training_id, attempt),
        command=(ENTRY, "run", training_id, "--attempt", str(attempt)),
        nodes=resources.nodes,
        gpus=gpus,
        compute=resources.compute or cluster.compute,
        experiment=resources.experiment or cluster.experiment,
        environment=resources.image or cluster.environment,
        snapshot=snapshot,
        variables={**variables, **_of_node(cluster, gpus)},
        tags={
            "mitorch": variables.get(PREFIX_VARIABLE, ""),
            "training": training_id,
            "attempt": str(attempt),
            "nodes": str(resources.nodes),
        },
    )

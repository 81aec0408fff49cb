"""The whole request for a run on Azure ML, as a value. No SDK is needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mitorch_service.backends.azureml.code_snapshot import ENTRY
from mitorch_service.backends.azureml.vault import PREFIX_VARIABLE
from mitorch_service.backends.base import RunRequest
from mitorch_service.models.training import Resources, run_name
from mitorch_service.settings import AzureMLCluster


@dataclass(frozen=True)
class AzureMLRequest(RunRequest):
    """`command` is the script of the snapshot with its arguments. Several nodes run it as one PyTorch job."""

    compute: str = ""
    experiment: str = ""
    environment: str | None = None  # a registered environment, or a Docker image; None: ours, of pinned requirements
    snapshot: str = ""  # the hash of the code
    variables: Mapping[str, str] = field(default_factory=dict)  # of the run's environment; no secret among them
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def processes(self) -> int:
        """How many are started in all: one for each GPU that was asked for, and on each node at least one."""
        return self.nodes * max(1, self.gpus or 1)

    @property
    def communicator(self) -> str | None:
        """Of several nodes: how PyTorch's processes speak to each other."""
        if self.nodes == 1:
            return None
        return "Gloo" if self.gpus == 0 else "Nccl"


def prepare(
    cluster: AzureMLCluster,
    training_id: str,
    attempt: int,
    resources: Resources,
    snapshot: str,
    variables: Mapping[str, str],
) -> AzureMLRequest:
    """The same values give the same request. `variables`: what every run of this cluster gets."""
    gpus = cluster.gpus if resources.gpus is None else resources.gpus
    return AzureMLRequest(
        name=run_name(training_id, attempt),
        command=(ENTRY, "run", training_id, "--attempt", str(attempt)),
        nodes=resources.nodes,
        gpus=gpus,
        compute=cluster.compute,
        experiment=cluster.experiment,
        environment=cluster.environment,
        snapshot=snapshot,
        variables=dict(variables),
        tags={
            "mitorch": variables.get(PREFIX_VARIABLE, ""),
            "training": training_id,
            "attempt": str(attempt),
            "nodes": str(resources.nodes),
        },
    )

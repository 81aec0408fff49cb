"""The second SDK, azure-ai-ml, unmodified, in a process of its own; see `sdk_process.py`."""

from __future__ import annotations

from functools import cache
from typing import Any

from azure.ai.ml import MLClient, command
from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, Data, Environment, Model
from azure.identity import ClientSecretCredential

from tests.azureml_emulator.calls import serve
from tests.azureml_emulator.client import GROUP, PASSWORD, PRINCIPAL, SUBSCRIPTION, TENANT, WORKSPACE


@cache
def client() -> Any:
    """The workspace, as a service principal sees it."""
    return MLClient(ClientSecretCredential(TENANT, PRINCIPAL, PASSWORD), SUBSCRIPTION, GROUP, WORKSPACE)


def submit(
    folder: str,
    run_id: str,
    line: str,
    environment: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    nodes: int = 1,
) -> str:
    """Submits a command; returns the job's status."""
    job = command(
        name=run_id,
        code=folder,
        command=line,
        compute="cpu",
        environment=Environment(image="image"),
        environment_variables=environment,
        tags=tags,
        instance_count=nodes,
        distribution={"type": "PyTorch", "process_count_per_instance": 1} if nodes > 1 else None,
    )
    return _word(client().jobs.create_or_update(job).status)


def status(run_id: str) -> str:
    """A job's status now."""
    return _word(client().jobs.get(run_id).status)


def stream(run_id: str) -> None:
    """Follows a job to its end; raises where it fails."""
    client().jobs.stream(run_id)


def cancel(run_id: str) -> None:
    """Cancels a job."""
    client().jobs.begin_cancel(run_id).result()


def listing(tag: str) -> list[str]:
    """The jobs with a tag, newest first."""
    return [job.name for job in client().jobs.list(tag=tag)]


def computes() -> dict[str, int]:
    """The clusters with the largest number of nodes of each."""
    return {compute.name: compute.max_instances for compute in client().compute.list()}


def assets(path: str) -> list[str]:
    """Registers a data set, a datastore and a model; returns what is read of them."""
    client().data.create_or_update(Data(name="data", version="1", path="azureml://datastores/ds/paths/images"))
    credentials = AccountKeyConfiguration(account_key="a2V5")
    store = AzureBlobDatastore(name="ds", account_name="account", container_name="images", credentials=credentials)
    client().datastores.create_or_update(store)
    client().models.create_or_update(Model(name="best", path=path, tags={"metric": "0.9"}))
    found = client().models.get("best", label="latest")
    return [client().data.get("data", "1").path, client().datastores.get("ds").container_name, found.tags["metric"]]


def _word(status: Any) -> str:
    """A status, which the SDK knows or does not."""
    return str(getattr(status, "value", status))


if __name__ == "__main__":
    serve(globals())

"""The unmodified SDK in a process of its own: reads one call per line from its standard input, answers with one line.

`python -m tests.azureml_emulator.sdk_driver`, with `Emulator.environment`; see `sdk_process.py`.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import requests
from azureml.core import Dataset, Datastore, Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.model import Model
from azureml.core.runconfig import PyTorchConfiguration

from tests.azureml_emulator.calls import serve
from tests.azureml_emulator.client import GROUP, PASSWORD, PRINCIPAL, SUBSCRIPTION, TENANT, WORKSPACE


@cache
def workspace(name: str = WORKSPACE, group: str = GROUP, **principal: str) -> Any:
    """The workspace, as a service principal sees it."""
    names = {"tenant_id": TENANT, "service_principal_id": PRINCIPAL, "service_principal_password": PASSWORD}
    auth = ServicePrincipalAuthentication(**(names | principal))
    return Workspace.get(name, auth=auth, subscription_id=SUBSCRIPTION, resource_group=group)


def workspace_id(**names: str) -> str:
    """Opens a workspace."""
    return str(workspace(**names).get_details()["id"])


def locations() -> dict[str, Any]:
    """Returns usages, quotas and VM sizes of the workspace's region."""
    return {
        "usages": AmlCompute.list_usages(workspace())[0]["name"]["value"],
        "quotas": len(AmlCompute.list_quotas(workspace())),
    }


def create_compute(name: str, **profile: Any) -> str:
    """Creates a cluster and waits for it."""
    config = AmlCompute.provisioning_configuration(**profile)
    compute = ComputeTarget.create(workspace(), name, config)
    compute.wait_for_completion(min_node_count=profile.get("min_nodes", 0))
    return str(compute.get_status().serialize()["provisioningState"])


def compute_status(name: str) -> dict[str, Any]:
    """A cluster's counts of nodes."""
    return dict(ComputeTarget(workspace(), name).get_status().serialize())


def computes() -> list[str]:
    """The names of the clusters."""
    return list(workspace().compute_targets)


def submit(
    folder: str,
    run_id: str,
    compute: str = "cpu",
    script: str = "job.py",
    arguments: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    nodes: int = 1,
    processes: int | None = None,
) -> dict[str, Any]:
    """Submits a script; returns status and seconds."""
    distributed = PyTorchConfiguration("Gloo", processes, nodes) if nodes > 1 or processes else None
    config = ScriptRunConfig(
        folder, script, list(arguments), compute_target=compute, distributed_job_config=distributed
    )
    config.run_config.environment_variables = environment or {}
    begin = time.monotonic()
    run = Experiment(workspace(), "experiment").submit(config, run_id=run_id, tags=tags)
    return {"status": run.status, "seconds": time.monotonic() - begin}


def status(run_id: str) -> str:
    """A run's status now."""
    return str(workspace().get_run(run_id).get_status())


def details(run_id: str) -> dict[str, Any]:
    """A run with the texts of its logs."""
    found = workspace().get_run(run_id).get_details_with_logs()
    return {name: found.get(name) for name in ("status", "error", "logFiles", "properties")}


def run_data(run_id: str) -> dict[str, Any]:
    """Returns the metrics, tags and files of a run."""
    run = workspace().get_run(run_id)
    return {"metrics": run.get_metrics(), "tags": run.get_tags(), "files": run.get_file_names()}


def cancel(run_id: str) -> None:
    """Cancels a run."""
    workspace().get_run(run_id).cancel()


def listing(tags: dict[str, str] | None = None) -> list[str]:
    """The runs of the experiment, newest first."""
    return [run.id for run in Experiment(workspace(), "experiment").get_runs(tags=tags)]


def secret(name: str, value: str | None = None) -> str:
    """Sets and gets a secret."""
    vault = workspace().get_default_keyvault()
    if value is not None:
        vault.set_secret(name, value)
    return str(vault.get_secret(name))


def environment(name: str, packages: list[str]) -> list[str]:
    """Registers an environment; returns its versions, first as registered, then as read."""
    wanted = Environment(name)
    for package in packages:
        wanted.python.conda_dependencies.add_pip_package(package)
    return [wanted.register(workspace()).version, Environment.get(workspace(), name).version]


def datastore(name: str, container: str, account: str, key: str) -> list[str]:
    """Registers a container; returns what is read of it."""
    Datastore.register_azure_blob_container(workspace(), name, container, account, account_key=key)
    found = Datastore.get(workspace(), name)
    return [found.container_name, found.account_name, found.account_key, workspace().get_default_datastore().name]


def register_dataset(store: str, path: str, name: str, **options: Any) -> list[Any]:
    """Registers files of a datastore as a data set; returns what the service says of it, and the number of its version.
    Needs azureml-dataset-runtime."""
    files = Dataset.File.from_files([(Datastore.get(workspace(), store), path)], validate=False)
    made = files.register(workspace(), name, **options)
    return [made.name, made.version, made.tags, made.description]


def register_tabular(store: str, path: str, name: str) -> list[Any]:
    """Registers a table in a datastore, as LabelAPI does."""
    places = [(Datastore.get(workspace(), store), path)]
    rows = Dataset.Tabular.from_delimited_files(places, validate=False, infer_column_types=False)
    made = rows.register(workspace(), name, create_new_version=True)
    return [made.name, made.version]


def dataset(name: str, version: int | str = "latest") -> list[Any]:
    """A registered data set: version, tags, and where its files are, as its definition says."""
    found = Dataset.get_by_name(workspace(), name, version)
    return [found.version, found.tags, found._dataflow._to_yaml_string()]


def datasets() -> list[str]:
    """The names of the registered data sets."""
    return sorted(Dataset.get_all(workspace()).keys())


def model(path: str, name: str, tags: dict[str, str], target: str) -> dict[str, Any]:
    """Registers a model and downloads it again."""
    Model.register(workspace(), path, name, tags=tags)
    found = Model(workspace(), name)
    content = Path(found.download(target)).read_text()
    names = [m.name for m in Model.list(workspace(), tags=[list(item) for item in tags.items()])]
    return {"version": found.version, "tags": found.tags, "content": content, "listed": names}


def forget_workspaces() -> None:
    """Signs in anew at the next call."""
    workspace.cache_clear()


def working_folder() -> str:
    """Returns the working folder of this process, below which models are registered."""
    return str(Path.cwd())


def fetch(url: str) -> int:
    """Asks for any address."""
    return requests.get(url, timeout=10).status_code


if __name__ == "__main__":
    serve(globals())

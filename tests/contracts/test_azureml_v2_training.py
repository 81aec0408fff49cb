"""Trainings "on Azure" through the second SDK: the real commands, and a service that really runs what is submitted."""

# ruff: noqa: F811 - fixtures are imported, and then taken as arguments

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import write_small_digits
from tests.azureml_emulator.client import Emulator, running
from tests.integration.test_azureml_training import (  # noqa: F401 - fixtures, and tests to run here
    CLUSTER,
    azure,
    machine,
    submit,
    test_a_training_runs_on_azure_from_its_submission_to_its_result,
)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Machine]]:
    """As for the first SDK, but for the cluster."""
    folder = tmp_path_factory.mktemp("azure")
    with running(folder / "azure") as azure:
        azure.populate(max_nodes=4)
        cluster = {**CLUSTER, "sdk": "v2"}
        environment = {**azure.environment(folder / "home"), "MITORCH_CLUSTERS": json.dumps([cluster])}
        machine = Machine(folder / "home", environment)
        machine.ok("dataset", "register", write_small_digits(machine.folder / "digits"))
        yield azure, machine
        for run in azure.runs():
            azure.cancel(run["runId"])


def test_overlapping_passes_launch_each_training_once(azure: Emulator, machine: Machine) -> None:
    azure.configure(hold=True)
    ids = [submit(machine) for _ in range(2)]
    passes: list[subprocess.Popen[str]] = [machine.start("control") for _ in range(2)]
    for process in passes:
        assert "Error" not in process.communicate(timeout=120)[0]
    created = [r["path"] for r in azure.traffic() if r["operation"] == "job.create" and r["status"] == 201]
    assert [sum(f"/jobs/mt-{id}-a" in path for path in created) for id in ids] == [1, 1]
    for id in ids:
        machine.ok("control", "cancel", id)

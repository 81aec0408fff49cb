"""Fixtures of the integration tests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import write_small_digits
from tests.azureml_emulator.client import Emulator, running
from tests.integration.azureml_training_suite import CLUSTER


@pytest.fixture(scope="class")
def furnished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Emulator, Machine]]:
    """An emulator and a home folder for all tests of an `AzureTrainingSuite`, with a data set."""
    folder = tmp_path_factory.mktemp("azure")
    with running(folder / "azure") as azure:
        azure.populate(max_nodes=8)
        clusters = json.dumps([{**CLUSTER, "sdk": request.cls.sdk}])
        machine = Machine(folder / "home", {**azure.environment(folder / "home"), "MITORCH_CLUSTERS": clusters})
        machine.ok("dataset", "register", write_small_digits(machine.folder / "digits"))
        yield azure, machine
        for run in azure.runs():
            azure.cancel(run["runId"])

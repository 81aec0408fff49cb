"""mitorch doctor on Azure: each mistake is found by a real call, and told with its remedy; no secret is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.azureml_emulator.client import (
    COMPUTE,
    PASSWORD,
    PRINCIPAL,
    REGION,
    SUBSCRIPTION,
    TENANT,
    WORKSPACE,
    Emulator,
    running,
)
from tests.azureml_worker import CONNECTION
from tests.azurite_server import Azurite

EXPIRED = "77777777-0000-0000-0000-000000000000"
NOBODY = "88888888-0000-0000-0000-000000000000"
STRANGER = "99999999-0000-0000-0000-000000000000"

CLUSTER = {**CONNECTION, "name": COMPUTE, "workspace": WORKSPACE}
NO_TENANT = "99999999-1111-1111-1111-111111111111"
SECRETS = (PASSWORD, "0ld-secret", "wr0ng-secret")
PROFILE = {"vm_size": "Standard_NC24s_v3", "max_nodes": 2}

# what is changed in the settings → what is checked and what is said of it
MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "wrong-tenant": ({"auth": f"{NO_TENANT}:{PRINCIPAL}:{PASSWORD}"}, "sign-in", "The tenant does not exist"),
    "expired": ({"auth": f"{TENANT}:{EXPIRED}:0ld-secret"}, "sign-in", "The password has expired"),
    "wrong-password": ({"auth": f"{TENANT}:{PRINCIPAL}:wr0ng-secret"}, "sign-in", "The password is wrong"),
    "wrong-principal": (
        {"auth": f"{TENANT}:{NOBODY}:{PASSWORD}"},
        "sign-in",
        "This tenant has no such service principal",
    ),
    "no-subscription": (
        {"subscription_id": TENANT},
        "subscription",
        f"sees no subscription {TENANT} in the tenant {TENANT}; it sees {SUBSCRIPTION}. Correct subscription_id",
    ),
    "user": ({"auth": "user@example.org:wr0ng-password"}, "sign-in", "Azure refuses it"),
    "no-role": (
        {"auth": f"{TENANT}:{STRANGER}:{PASSWORD}"},
        "workspace",
        "no role in the workspace workspace. Give the identity a role in it: az role assignment create",
    ),
    "wrong-workspace": ({"workspace": "worksapce"}, "workspace", "did you mean 'workspace'? there are: "),
    "wrong-region": ({"region": "eastus"}, "region", "the workspace is in westeurope, the settings say eastus"),
    "wrong-compute": ({"compute": "cpuu"}, "compute", "did you mean 'cpu'? there are: broken, cpu, low, odd"),
    "failed-compute": ({"compute": "broken"}, "compute", "check the quota of its VM size"),
    "no-quota": (
        {"workspace": "poor", "region": "North Europe", "create": PROFILE},
        "quota",
        "no node can start (Standard NCSv3 Family: 0 of 6 cores used, a node of Standard_NC24s_v3 has 24). Request",
    ),
    "no-environment": ({"environment": "torch:3"}, "environment", "has no environment 'torch:3'"),
    "no-gpu": (
        {"compute": "odd", "gpus": 2},
        "gpus",
        "gpus: 2, but machines of Standard_D2_v2 have none. Set gpus to 0",
    ),
}
FINE: dict[str, tuple[dict[str, Any], str, str]] = {
    "sign-in": ({}, "sign-in", f"as {PRINCIPAL} of the tenant {TENANT}"),
    "region": ({"region": "West Europe"}, "region", REGION),
    "compute": ({}, "compute", "cpu, Standard_NC6s_v3, dedicated, at most 4 nodes"),
    "low": ({"compute": "low"}, "compute", "low priority, though low_priority is false"),
    "create": ({"compute": "new", "create": PROFILE}, "compute", "will be created (Standard_NC24s_v3)"),
    "quota": ({}, "quota", "Standard NCSv3 Family: 0 of 24 cores used, a node of Standard_NC6s_v3 has 6"),
    "no-family": ({"compute": "odd"}, "quota", "not compared: the service reports none for Standard_D2_v2"),
    "gpus": ({"gpus": 1}, "gpus", "1 of a node; a run that sees fewer is an error"),
    "unknown-gpus": ({}, "gpus", "set gpus to those of a Standard_NC6s_v3"),
    "ours": ({"gpus": 1}, "environment", "ours (mitorch-gpu, on mcr.microsoft.com/azureml/openmpi5.0-cuda"),
    "vault": ({}, "key vault", "secrets can be written and read"),
    "image": ({"environment": "registry.example/torch:1"}, "environment", "the image registry.example/torch:1"),
}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("azure")) as azure:
        azure.populate()
        azure.add_compute("broken", state="Failed", error="Operation results in exceeding quota limits.")
        azure.add_compute("low", priority="LowPriority")
        azure.add_compute("odd", vm_size="Standard_D2_v2")
        azure.add_workspace("poor", region="northeurope")
        azure.set_quota("Standard NCSv3 Family", 6, "poor")
        azure.add_principal(principal=EXPIRED, secret="0ld-secret", expired=True)
        azure.add_principal(principal=STRANGER, workspaces=["poor"])
        yield azure


@pytest.fixture
def machine(azure: Emulator, tmp_path: Path) -> Iterator[Machine]:
    yield Machine(tmp_path / "home", azure.environment(tmp_path / "home"))
    azure.faults.clear()


def findings(
    machine: Machine, *clusters: dict[str, Any], arguments: tuple[str, ...] = ()
) -> dict[str, tuple[bool, str]]:
    """Returns the doctor's findings, which never contain a secret."""
    machine.environment["MITORCH_CLUSTERS"] = json.dumps(clusters)
    answer = machine.run("doctor", "--json", "--debug", *arguments)
    assert not any(secret in answer.out + answer.err for secret in SECRETS)
    found = {finding["what"]: (finding["ok"], finding["text"]) for finding in answer.json}
    assert answer.code == int(not all(ok for ok, _ in found.values()))
    return found


@pytest.mark.parametrize("sdk", ["v1", "v2"])
def test_every_mistake_is_told_with_its_remedy_and_hides_no_other(machine: Machine, sdk: str) -> None:
    base = {**CLUSTER, "sdk": sdk, "compute": COMPUTE}
    found = findings(machine, *[{**base, "name": name, **m[0]} for name, m in MISTAKES.items()])
    for name, (_, what, words) in MISTAKES.items():
        ok, text = found[f"cluster {name} {what}"]
        assert not ok, name
        assert words in text
        assert "\n" not in text
        told = [key for key in found if key.startswith(f"cluster {name} ")]
        assert [key for key in told if not found[key][0]] == [f"cluster {name} {what}"]
    assert "cluster wrong-tenant subscription" not in found  # which cannot be asked
    ok, text = found["cluster user auth"]  # is told where the sign-in fails, too
    assert (ok, "USER:PASSWORD is deprecated" in text) == (True, True)


@pytest.mark.parametrize("sdk", ["v1", "v2"])
def test_what_is_right_is_told_as_it_is(machine: Machine, sdk: str) -> None:
    base = {**CLUSTER, "sdk": sdk, "compute": COMPUTE}
    found = findings(machine, *[{**base, "name": name, **m[0]} for name, m in FINE.items()])
    ok, text = found["cluster sign-in sdk"]
    assert (ok, "has not supported since 30 June 2026" in text) == (True, sdk == "v1")
    for name, (_, what, words) in FINE.items():
        ok, text = found[f"cluster {name} {what}"]
        assert ok, text
        assert words in text
    assert found["cluster create"] == (True, "azureml, 2 of 2 nodes free")
    for what, words in (("database", "Set MITORCH_DB_URI to a"), ("storage", "Set MITORCH_STORAGE_URL to a")):
        ok, text = found[f"{what} of the runs"]  # both are files here, which no node sees
        assert (ok, words in text) == (False, True)


def test_a_vault_that_refuses_is_told(azure: Emulator, machine: Machine) -> None:
    azure.faults.status(403, operation="secret.set", count=None)
    ok, text = findings(machine, CLUSTER)["cluster cpu key vault"]
    assert (ok, "Give it one that allows writing secrets" in text) == (False, True)


def test_a_machine_without_an_identity_is_told(machine: Machine) -> None:
    machine.environment["AZURE_TOKEN_CREDENTIALS"] = "EnvironmentCredential"  # nothing else is looked for
    found = findings(machine, {name: value for name, value in CLUSTER.items() if name != "auth"})
    ok, text = found["cluster cpu sign-in"]
    assert (ok, "Run az login, give this machine a managed identity" in text) == (False, True)


def test_a_workspace_that_does_not_answer_holds_up_nothing(azure: Emulator, machine: Machine) -> None:
    azure.faults.delay(25, operation="workspace.get", path="/workspaces/poor", count=None)
    slow = {**CLUSTER, "name": "slow", "workspace": "poor"}
    found = findings(machine, slow, CLUSTER, arguments=("--timeout", "6"))
    ok, text = found["cluster slow"]
    assert (ok, "no answer within 6 s, after: cluster slow subscription" in text) == (False, True)
    assert found["cluster cpu"] == (True, "azureml, 4 of 4 nodes free")
    assert "cluster slow workspace" not in found


def test_all_is_well_with_a_database_and_a_container_for_all(
    machine: Machine, mongodb_uri: str, azurite: Azurite
) -> None:
    container = azurite.new_container().container_name
    end = datetime.now(UTC) + timedelta(days=30)
    url = f"{azurite.url(container)}?{azurite.sas(container, end=end)}"
    machine.environment |= {"MITORCH_DB_URI": mongodb_uri, "MITORCH_STORAGE_URL": url}
    found = findings(machine, CLUSTER)
    assert all(ok for ok, _ in found.values()), found
    assert f"until the SAS token expires on {end:%Y-%m-%d %H:%M} UTC" in found["storage"][1]


@pytest.mark.parametrize(
    ("permissions", "days", "words"),
    [("rl", 1, "A SAS token needs racwdl"), ("racw", 1, "A SAS token needs racwdl"), ("racwdl", -1, "expired on")],
)
def test_a_token_that_will_not_do_is_told(
    machine: Machine, azurite: Azurite, permissions: str, days: int, words: str
) -> None:
    container = azurite.new_container().container_name
    sas = azurite.sas(container, permissions, datetime.now(UTC) + timedelta(days=days))
    machine.environment["MITORCH_STORAGE_URL"] = f"{azurite.url(container)}?{sas}"
    ok, text = findings(machine, {"name": "local", "slots": 1})["storage"]
    assert (ok, words in text) == (False, True), text
    assert sas.partition("sig=")[2] not in text

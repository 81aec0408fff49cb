"""Tests the deployment as far as possible without Azure: inputs are checked, commands and files are as they should be,
and no secret is on a command line. An `az` that only records its arguments replaces the real one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pycep import BicepParser

from mitorch_service.webhook_settings.webhook_list import read_webhooks

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "scripts" / "deploy"
SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
NODES = "44444444-4444-4444-4444-444444444444"
SECRET = "hunter2"
CLUSTER = {
    "name": "gpu",
    "kind": "azureml",
    "subscription_id": SUBSCRIPTION,
    "resource_group": "ml",
    "workspace": "vision",
    "price": 0.9,
}
FAKE_AZ = """#!{python}
import json, pathlib, sys
here = pathlib.Path({folder!r})
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for argument in sys.argv:
    if argument.startswith("@"):
        path = pathlib.Path(argument[1:])
        (here / "parameters.json").write_text(path.read_text())
        (here / "mode").write_text(oct(path.stat().st_mode & 0o777))
    if argument.endswith(".zip"):
        (here / "app.zip").write_bytes(pathlib.Path(argument).read_bytes())
if "show" in sys.argv:
    print("the-" + sys.argv[sys.argv.index("--query") + 1].split(".")[2])
"""


@dataclass
class Deployment:
    """Somebody who deploys: the options, the environment, and what az was asked."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """scripts/deploy/run"""
        pairs = [word for name, value in self.options.items() for word in (f"--{name}", value)]
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            [DEPLOY / "run", *pairs, *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "PYTHON": sys.executable, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def write_clusters(self, *clusters: dict[str, Any]) -> None:
        """The clusters file."""
        (self.folder / "clusters.json").write_text(json.dumps(clusters))

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def parameters(self) -> dict[str, Any]:
        """That az was given, by name."""
        document = json.loads((self.folder / "parameters.json").read_text())
        return {name: entry["value"] for name, entry in document["parameters"].items()}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    (tmp_path / "az").write_text(FAKE_AZ.format(python=sys.executable, folder=str(tmp_path)))
    (tmp_path / "az").chmod(0o755)
    options = {
        "name": "mitorch",
        "subscription": SUBSCRIPTION,
        "group": "mitorch",
        "location": "westeurope",
        "clusters": "clusters.json",
    }
    made = Deployment(tmp_path, options, {"MITORCH_DB_URI": f"mongodb+srv://me:{SECRET}@db.example/"})
    made.write_clusters(CLUSTER)
    return made


@pytest.mark.long
def test_everything_is_created_then_the_package_is_sent(deployment: Deployment) -> None:
    done = deployment.run("--schedule", "0 */2 * * * *", "--node-identity", NODES)
    assert done.returncode == 0, done.stderr
    verbs = [" ".join(call).split(" --")[0] for call in deployment.calls]
    assert verbs == [
        "group create",
        "provider register",
        "deployment group create",
        "deployment group show",
        "functionapp deployment source config-zip",
        "deployment group show",
        "deployment group show",
    ]
    assert all(call[call.index("--subscription") + 1] == SUBSCRIPTION for call in deployment.calls)
    sent = deployment.parameters
    assert sent["databaseUri"] == deployment.environment["MITORCH_DB_URI"]
    assert sent["workspaces"] == [{"subscriptionId": SUBSCRIPTION, "resourceGroup": "ml", "name": "vision"}]
    assert (sent["schedule"], sent["nodePrincipalIds"]) == ("0 */2 * * * *", [NODES])
    assert (sent["storageUrl"], sent["amlAuth"], sent["databaseName"]) == ("", "", "mitorch")
    assert (deployment.folder / "mode").read_text() == "0o600"
    assert SECRET not in json.dumps(deployment.calls) + done.stdout + done.stderr
    assert "the-healthUrl?code=KEY" in done.stdout
    with zipfile.ZipFile(deployment.folder / "app.zip") as package:
        names = set(package.namelist())
        (wheel,) = (name for name in names if name.endswith(".whl"))
        required = package.read("requirements.txt").decode()
        assert f"./{wheel}[azure,search]" in required
        assert "azure-ai-ml==" in required
        assert "azureml-core" not in required
    assert {"function_app.py", "host.json", "requirements.txt"} <= names
    assert not any("settings" in name for name in names)


def test_a_dry_run_asks_azure_nothing(deployment: Deployment) -> None:
    deployment.options["group"] = "my(group)"
    done = deployment.run("--dry-run")
    assert (done.returncode, deployment.calls) == (0, [])
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["az", "group"],
        ["az", "provider"],
        ["az", "deployment"],
        ["az", "functionapp"],
    ]
    assert r"--name my\(group\)" in done.stdout
    assert SECRET not in done.stdout


def test_what_if_changes_nothing(deployment: Deployment) -> None:
    assert deployment.run("--what-if").returncode == 0
    assert [call[:3] for call in deployment.calls] == [["deployment", "group", "what-if"]]


def test_the_secrets_that_are_given_are_passed_on(deployment: Deployment) -> None:
    deployment.write_clusters({**CLUSTER, "auth": {"env": "MITORCH_AML_AUTH"}}, {**CLUSTER, "name": "second"})
    url = f"https://account.blob.core.windows.net/artifacts?sv=1&sig={SECRET}"
    deployment.environment |= {"MITORCH_AML_AUTH": f"tenant:id:{SECRET}", "MITORCH_STORAGE_URL": url}
    assert deployment.run("--what-if").returncode == 0
    assert (deployment.parameters["amlAuth"], deployment.parameters["storageUrl"]) == (f"tenant:id:{SECRET}", url)
    assert json.loads(deployment.parameters["clusters"])[0]["auth"] == {"env": "MITORCH_AML_AUTH"}
    assert len(deployment.parameters["workspaces"]) == 1
    assert SECRET not in deployment.parameters["clusters"]


def test_webhooks_are_passed_on_whole(deployment: Deployment) -> None:
    deployment.write_clusters(CLUSTER)
    given = [{"name": "ops", "kind": "json", "url": {"env": "OPS"}, "secret": {"env": "OPS_SECRET"}, "events": ["job"]}]
    deployment.environment |= {"MITORCH_WEBHOOKS": json.dumps(given), "OPS": "https://ops.example/hook"}
    deployment.environment |= {"OPS_SECRET": "an unguessable one"}
    done = deployment.run("--what-if")
    text = deployment.parameters["webhookList"]
    (webhook,) = read_webhooks({"MITORCH_WEBHOOKS": text})
    assert (webhook.name, webhook.events, webhook.key()) == ("ops", ("job",), b"an unguessable one")
    assert webhook.url.get_secret_value() == "https://ops.example/hook"
    assert "unguessable" not in done.stdout + done.stderr + str(deployment.calls)


@pytest.mark.parametrize(
    ("options", "environment", "problem"),
    [
        ({"name": "Mi Torch"}, {}, "--name: 'Mi Torch' cannot be used"),
        ({"location": "West Europe"}, {}, "--location: 'West Europe' cannot be used"),
        ({"subscription": "mine"}, {}, "--subscription: 'mine' is not a subscription id"),
        ({"group": "a/b"}, {}, "--group: 'a/b' is not a valid name of a resource group"),
        ({"schedule": "*/5 * * * *"}, {}, "--schedule: '*/5 * * * *' is not a schedule"),
        ({"node-identity": "cluster"}, {}, "--node-identity: 'cluster' is not an object id"),
        ({"clusters": "nowhere.json"}, {}, "--clusters: nowhere.json cannot be read"),
        ({}, {"MITORCH_DB_URI": ""}, "MITORCH_DB_URI: it is not set"),
        ({}, {"MITORCH_DB_URI": "sqlite:////tmp/my.db"}, "MITORCH_DB_URI: it is not set, or names a file"),
        ({}, {"MITORCH_STORAGE_URL": "/data"}, "MITORCH_STORAGE_URL: it is a folder"),
    ],
)
def test_inputs_that_are_wrong_are_named(
    deployment: Deployment, options: dict[str, str], environment: dict[str, str], problem: str
) -> None:
    deployment.options |= options
    deployment.environment |= environment
    done = deployment.run()
    assert (done.returncode, deployment.calls) == (2, [])
    assert problem in done.stderr


@pytest.mark.parametrize(
    ("cluster", "problem"),
    [
        ({**CLUSTER, "auth": f"tenant:id:{SECRET}"}, "[0].auth: would show a password"),
        ({**CLUSTER, "resource_group": None}, "gpu names no resource group. Add resource_group"),
        ({**CLUSTER, "auth": {"env": "OTHER"}}, "[0].auth: would show a password, or is not passed on"),
        ({"name": "here", "kind": "local"}, "here is of kind local"),
        ({**CLUSTER, "workspce": "x"}, "workspce"),
    ],
)
def test_clusters_that_a_function_cannot_use_are_refused(
    deployment: Deployment, cluster: dict[str, Any], problem: str
) -> None:
    deployment.write_clusters(cluster)
    deployment.environment["OTHER"] = f"tenant:id:{SECRET}"
    done = deployment.run()
    assert (done.returncode, deployment.calls) == (2, [])
    assert problem in done.stderr
    assert SECRET not in done.stderr


def test_missing_options_show_the_usage(deployment: Deployment) -> None:
    del deployment.options["clusters"]
    done = deployment.run()
    assert (done.returncode, "scripts/deploy/run --name NAME" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["run", "package"])
def test_the_scripts_pass_shellcheck(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", DEPLOY / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def bicep(name: str) -> Any:
    """A parsed file."""
    return BicepParser().parse(text=(DEPLOY / name).read_text())


def test_bicep_gets_every_parameter_and_keeps_secrets(deployment: Deployment) -> None:
    assert deployment.run("--what-if").returncode == 0
    declared = bicep("main.bicep")["parameters"]
    assert set(declared) == set(deployment.parameters)
    secure = {name for name, entry in declared.items() if any(d["type"] == "secure" for d in entry["decorators"])}
    assert secure == {"databaseUri", "storageUrl", "amlAuth", "webhookList"}
    source = (DEPLOY / "main.bicep").read_text()
    for name in secure:  # only as the value of a vault's secret, or to see whether there is one
        uses = [line.strip() for line in source.splitlines() if re.search(rf"\b{name}\b", line)]
        other = [u for u in uses if not (u.startswith((f"param {name} ", f"value: {name}")) or f"empty({name})" in u)]
        assert other == []


def test_bicep_references_what_it_declares() -> None:
    main, access = bicep("main.bicep"), bicep("workspace_access.bicep")
    (module,) = main["modules"].values()
    assert set(module["config"]["config"]["params"]) == set(access["parameters"])
    vault = bicep("vault_access.bicep")
    (module,) = access["modules"].values()
    assert set(module["config"]["config"]["params"]) == set(vault["parameters"])
    types = {entry["type"] for entry in main["resources"].values()}
    assert {"Microsoft.Web/sites", "Microsoft.KeyVault/vaults", "Microsoft.Storage/storageAccounts"} <= types
    declared = {*main["resources"], *main["parameters"], *main["variables"]}
    waits = main["resources"]["app"]["config"]["dependsOn"]
    assert waits
    assert {str(one) for one in waits} <= declared


def test_the_app_is_given_every_setting_that_it_needs() -> None:
    source = (DEPLOY / "main.bicep").read_text()
    given = set(re.findall(r"\{ name: '(MITORCH_\w+)'", source))
    needed = {"DB_URI", "DB_NAME", "STORAGE_URL", "CLUSTERS", "HOME", "SCHEDULE", "AML_AUTH", "WEBHOOKS"}
    assert given == {f"MITORCH_{name}" for name in needed}

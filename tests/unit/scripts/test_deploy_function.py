"""The files of the Function app: what is installed, how long it may run, and that it runs once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from azure.functions import AuthLevel
from packaging.requirements import Requirement

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.settings import read_settings
from scripts.deploy.requirements import requirements as chosen

ROOT = Path(__file__).parents[3]
FUNCTIONS = ROOT / "functions"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WHEEL = re.compile(r"\./wheels/mitorch_service-(?P<version>[^-]+)-py3-none-any\.whl\[(?P<extras>[\w,-]+)\]")
PYTORCH = {"torch", "torchvision", "timm", "torchmetrics"}


def requirements() -> list[str]:
    """The lines that are no comments."""
    lines = (FUNCTIONS / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(path: Path) -> dict[str, str]:
    """Versions by package."""
    return dict(re.findall(r"^([a-z][\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE))


def wheel() -> re.Match[str]:
    (found,) = filter(None, map(WHEEL.fullmatch, requirements()))
    return found


def test_the_requirements_are_pinned_and_name_our_version() -> None:
    pinned = pins(FUNCTIONS / "requirements.txt")
    assert len(pinned) == len(requirements()) - 1
    assert wheel()["version"] == PROJECT["version"]
    declared = [*PROJECT["dependencies"], *(d for extra in PROJECT["optional-dependencies"].values() for d in extra)]
    for requirement in map(Requirement, declared):
        assert requirement.name not in pinned or requirement.specifier.contains(pinned[requirement.name])
    nodes = pins(ROOT / "mitorch_service" / "backends" / "azureml" / "node_requirements.txt")
    assert {name: nodes[name] for name in nodes.keys() & pinned.keys()} == {
        name: pinned[name] for name in nodes.keys() & pinned.keys()
    }


def test_the_requirements_hold_all_that_our_package_needs() -> None:
    assert needed(*wheel()["extras"].split(",")) <= pins(FUNCTIONS / "requirements.txt").keys()
    nodes = pins(ROOT / "mitorch_service" / "backends" / "azureml" / "node_requirements.txt")
    assert needed("train", "azure-node") <= nodes.keys()
    assert not {"azureml-core", "azure-ai-ml"} & nodes.keys()


def needed(*extras: str) -> set[str]:
    """The packages of ours with these extras."""
    optional = PROJECT["optional-dependencies"]
    return {Requirement(line).name for line in [*PROJECT["dependencies"], *(d for e in extras for d in optional[e])]}


@pytest.mark.parametrize(
    ("sdks", "extras", "packages"),
    [
        ({"v2"}, "azure,search", {"azure-ai-ml"}),
        ({"v1"}, "azure-v1,search", {"azureml-core"}),
        ({"v1", "v2"}, "azure,azure-v1,search", {"azureml-core", "azure-ai-ml"}),
    ],
)
def test_the_sdks_that_no_cluster_uses_are_left_out(
    sdks: set[str], extras: str, packages: set[str], tmp_path: Path
) -> None:
    written = tmp_path / "requirements.txt"
    written.write_text(chosen((FUNCTIONS / "requirements.txt").read_text(), sdks))
    (found,) = filter(None, map(WHEEL.fullmatch, written.read_text().splitlines()))
    assert found["extras"] == extras
    assert {"azureml-core", "azure-ai-ml"} & pins(written).keys() == packages
    assert needed(*extras.split(",")) <= pins(written).keys()


def test_what_is_installed_brings_no_pytorch() -> None:
    seen: set[str] = set()
    waiting = [Requirement(name) for name in pins(FUNCTIONS / "requirements.txt")]
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        for line in importlib.metadata.requires(requirement.name) or []:
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in requirement.extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(environment) for environment in environments):
                waiting.append(needed)
    names = {Requirement(text).name for text in seen}
    assert "msrest" in names  # of azureml-core: the walk goes deep
    assert not names & PYTORCH


def test_the_host_runs_the_timer_once_and_for_ten_minutes_at_most() -> None:
    host = json.loads((FUNCTIONS / "host.json").read_text())
    assert host["version"] == "2.0"
    assert host["functionTimeout"] == "00:10:00"  # the most that every plan allows
    periods = {name: seconds(text) for name, text in host["singleton"].items()}
    assert 15 <= periods["lockPeriod"] <= 60  # the host refuses others
    assert 15 <= periods["listenerLockPeriod"] <= 60
    assert not host["logging"]["applicationInsights"]["samplingSettings"]["isEnabled"]  # no line of a pass is dropped


def seconds(text: str) -> int:
    hours, minutes, rest = map(int, text.split(":"))
    return (hours * 60 + minutes) * 60 + rest


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", 600.0), ("00:00:30", 30.0), ("01:00:00", 3600.0), ("1.00:00:00", 86400.0), ("-1", float("inf"))],
)
def test_the_limit_of_the_host_is_known(setting: str, expected: float) -> None:
    environ = {"AzureFunctionsJobHost__functionTimeout": setting}
    assert function_app().host_seconds(environ) == expected


@pytest.mark.parametrize(("given", "schedule"), [("", "0 */5 * * * *"), ("0 * * * * *", "%MITORCH_SCHEDULE%")])
def test_the_schedule_is_every_five_minutes_or_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, given: str, schedule: str
) -> None:
    monkeypatch.setenv("MITORCH_SCHEDULE", given)
    by_name = {
        one.get_function_name(): one.get_bindings_dict()["bindings"] for one in function_app().app.get_functions()
    }
    assert by_name["micontrol"][0]["schedule"] == schedule
    assert by_name["health"][0]["authLevel"] == AuthLevel.FUNCTION


def function_app() -> Any:
    spec = importlib.util.spec_from_file_location("function_app", FUNCTIONS / "function_app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_of_local_settings_is_valid() -> None:
    sample = json.loads((FUNCTIONS / "local.settings.sample.json").read_text())
    assert sample["IsEncrypted"] is False
    (cluster,) = read_settings(sample["Values"]).clusters
    assert isinstance(cluster, AzureMLCluster)
    credential = cluster.credential()
    assert credential is not None and credential.tenant == "TENANT"
    bicep = (ROOT / "scripts" / "deploy" / "main.bicep").read_text()
    ours = {name for name in sample["Values"] if name.startswith("MITORCH_")}
    assert ours == set(re.findall(r"\{ name: '(MITORCH_\w+)'", bicep))


def test_what_is_not_to_be_deployed_is_ignored() -> None:
    ignored = (FUNCTIONS / ".funcignore").read_text().splitlines()
    assert {"local.settings.json", "__pycache__", ".venv"} <= set(ignored)

"""The variables of VoTT-train, and ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import SettingsError
from mitorch_service.interop.vott.consumer_settings import (
    QueueNotConfigured,
    ServiceBusSettings,
    StorageQueueSettings,
    read_consumer_settings,
)
from mitorch_service.interop.vott.plugins import InstalledPlugin, Network, Plugins
from mitorch_service.interop.vott.service import _check_plugin

STORAGE = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_KEY": "a2V5"}
BUS = {
    "AZURE_SERVICE_BUS_NAMESPACE": "space",
    "AZURE_SERVICE_BUS_ACCESS_KEY_NAME": "name",
    "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE": "value",
}
HOME = Path("/home/me/.mitorch")


def test_the_variables_of_the_description_and_their_defaults() -> None:
    found = read_consumer_settings(STORAGE, HOME)
    assert isinstance(found.queue, StorageQueueSettings) and "a2V5" not in repr(found)
    assert (found.queue.queue, found.count, found.wait_seconds, found.renew_seconds) == ("training", 1, 30, 1)
    assert found.lease_seconds == 30 and found.plugins == (Path("plugins").absolute(), HOME / "plugins")
    others = {"AZURE_STORAGE_QUEUE_NAME": "q", "AZURE_STORAGE_QUEUE_MESSAGE_COUNT": "32"}
    more = read_consumer_settings({**STORAGE, **others, "VOTT_KEEP_ALIVE_IN_SECONDS": "20"}, HOME)
    assert (more.queue.queue, more.count, more.lease_seconds) == ("q", 32, 200)


def test_service_bus_counts_if_both_are_there() -> None:
    found = read_consumer_settings({**STORAGE, **BUS, "AZURE_SERVICE_BUS_QUEUE_NAME": "other"}, HOME)
    assert isinstance(found.queue, ServiceBusSettings)
    assert (found.queue.namespace, found.queue.key_name, found.queue.queue) == ("space", "name", "other")


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({**STORAGE, "AZURE_STORAGE_QUEUE_MESSAGE_COUNT": "1.5"}, "'1.5' is not a whole number from 1 to 32"),
        ({**STORAGE, "AZURE_STORAGE_QUEUE_MESSAGE_COUNT": "33"}, "'33' is not a whole number from 1 to 32"),
        ({**STORAGE, "VOTT_KEEP_ALIVE_IN_SECONDS": "nan"}, "'nan' is not a number from 0.1 to 300"),
        ({**STORAGE, "MITORCH_VOTT_NETWORKS": "here"}, "'here' is not a network or an address"),
        ({"AZURE_SERVICE_BUS_NAMESPACE": "n"}, "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE: not set, while"),
    ],
)
def test_what_is_wrong_is_told_with_its_variable(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_consumer_settings(variables, HOME)
    assert problem in str(caught.value) and caught.value.exit_code == 2


def test_no_queue_is_a_code_of_its_own() -> None:
    with pytest.raises(QueueNotConfigured) as caught:
        read_consumer_settings({"AZURE_STORAGE_ACCOUNT_NAME": "of another program"}, HOME)
    assert caught.value.exit_code == 10


def test_the_default_plugin_must_be_there() -> None:
    asked = read_consumer_settings({**STORAGE, "VOTT_KEEP_PLUGIN_NAME": "hello-world"}, HOME)
    with pytest.raises(SettingsError, match="VOTT_KEEP_PLUGIN_NAME: 'hello-world' is not known"):
        _check_plugin(Plugins([]), asked)


def test_plugins_come_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = Plugins([tmp_path])
    assert plugins.find("Faster-RCNN") == Network("Faster-RCNN", "resnet50-fpn_v2-fasterrcnn")
    assert plugins.find("mobilenet_v2-ssdlite") == Network("mobilenet_v2-ssdlite", "mobilenet_v2-ssdlite")
    monkeypatch.setattr("mitorch_service.interop.vott.plugins._installed", lambda: ["fcos", "theirs"])
    assert plugins.find("fcos") == InstalledPlugin("fcos")
    (tmp_path / "fcos").mkdir()
    (tmp_path / "fcos" / "plugin.py").touch()
    assert plugins.find("fcos").folder == tmp_path / "fcos"  # type: ignore[union-attr]
    assert {"fcos", "theirs", "retinanet"} <= set(plugins.names())

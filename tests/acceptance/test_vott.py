"""VoTT-train's daemon: a message becomes a training, whose status and model arrive where the message says."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from tests.acceptance.conftest import Machine, until
from tests.azureml_emulator.client import COMPUTE, WORKSPACE, running
from tests.azureml_worker import CONNECTION
from tests.azurite_server import Azurite
from tests.documents import block
from tests.vott_host import Host, hosting
from tests.warm.command import warm_runs

pytestmark = pytest.mark.xdist_group("message queues")
PATIENCE = 400  # seconds; a queue that does not answer under load is asked again for minutes
TINY = {
    "model": {"input_size": 64, "pretrained": False},
    "augmentation": {"train": "resize", "val": "resize"},
}


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as served:
        yield served


@pytest.fixture
def queue(azurite_queue: str, bare_machine: Machine) -> Iterator[QueueClient]:
    """The queue that the machine's `.env` names."""
    name = f"q{uuid.uuid4().hex[:12]}"
    lines = [f"AZURE_STORAGE_CONNECTION_STRING='{azurite_queue}'", f"AZURE_STORAGE_QUEUE_NAME={name}"]
    bare_machine.write(".env", "\n".join([*lines, "MITORCH_VOTT_NETWORKS=127.0.0.0/8", ""]))
    with QueueClient.from_connection_string(azurite_queue, name) as client:
        client.create_queue()
        yield client


def a_message(host: Host, **values: Any) -> dict[str, Any]:
    text = io.StringIO()
    for number in range(6):
        image = host.add_image(f"images/{number}.png", number * 30)
        csv.writer(text).writerow((image, 4, 4, 60, 44, ("cat", "dog")[number % 2]))
    return {
        "plugin_name": "test_resnet-ssdlite",
        "annotations": host.add("boxes.csv", text.getvalue()),
        "model": host.url("models?sv=1&sr=c&sig=verysecretsignature"),
        "status": host.url("status"),
        "epochs": 2,
        "config": TINY,
        **values,
    }


def test_without_a_queue(bare_machine: Machine) -> None:
    answer = bare_machine.run("consume")
    assert answer.code == 10 and "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_KEY" in answer.err
    answer = bare_machine.run("consume", AZURE_SERVICE_BUS_NAMESPACE="n")
    assert answer.code == 2 and "AZURE_SERVICE_BUS_ACCESS_KEY_NAME" in answer.err
    answer = bare_machine.run("consume", AZURE_STORAGE_CONNECTION_STRING="x", VOTT_RECEIVE_SLEEP_IN_SECONDS="soon")
    assert answer.code == 2 and "VOTT_RECEIVE_SLEEP_IN_SECONDS: 'soon' is not a number" in answer.err
    assert not Path(bare_machine.home / "mitorch.db").exists()


@pytest.mark.long
def test_a_message_from_its_queue_to_its_model(bare_machine: Machine, queue: QueueClient, host: Host) -> None:
    queue.send_message(json.dumps(a_message(host)))
    queue.send_message(json.dumps({"plugin_name": "nothing"}))
    said = bare_machine.ok("consume", "--once")
    assert "verysecret" not in said and "rejected, to" in said
    (training,) = json.loads(bare_machine.ok("query", "--json"))["trainings"]
    assert training["status"] == "new" and queue.get_queue_properties().approximate_message_count == 0
    bare_machine.ok("control", "run", "--until-idle")
    end, again = time.monotonic() + 60, ""
    while "the model is stored at" not in again and time.monotonic() < end:  # it is looked at every few seconds
        again = bare_machine.ok("consume", "--once")
    told = host.posts["/status"]
    assert [one["epoch_current"] for one in told if one["step_current"] == one["steps_per_epoch"]] == [1, 2]
    assert told[-1]["progress"] == 1.0 and "error" not in told[-1] and told[-1]["classification_loss"] > 0
    ((content, headers),) = host.puts["/models/model.tgz"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert tar.getnames() == ["model.pth", "classes.csv", "config.json", "metrics.json"]
        assert tar.extractfile("classes.csv").read() == b"cat,0\ndog,1\n"  # type: ignore[union-attr]
    assert headers["x-ms-blob-type"] == "BlockBlob" and "the model is stored at" in again
    assert "verysecret" not in again and not host.puts["/models/model.tgz"][1:]


def test_the_commands_of_the_document(bare_machine: Machine, queue: QueueClient) -> None:
    message = json.loads(block("docs/vott.md", '{"plugin_name"'))
    plugin = bare_machine.folder / "plugins" / message["plugin_name"]
    plugin.mkdir(parents=True)
    (plugin / "plugin.py").write_text("import sys; print(sys.argv[1:])")
    queue.send_message(json.dumps(message))
    _, *commands = block("docs/vott.md", "printf 'AZURE").splitlines()
    said = [bare_machine.ok(*line.replace("micontrol", "mitorch control").split()[1:]) for line in commands]
    assert " queued" in said[0] and "completed" in said[1] and " queued" not in said[2]


def test_a_plugin_runs_as_it_does_with_vott_train(bare_machine: Machine, queue: QueueClient, host: Host) -> None:
    plugin = bare_machine.folder / "plugins" / "mine"
    plugin.mkdir(parents=True)
    (plugin / "shared.py").write_text("NAME = 'mine'\n")
    (plugin / "plugin.py").write_text(
        "import argparse, json, sys\n"
        "import shared\n"
        "parser = argparse.ArgumentParser()\n"
        "for name in ('annotations', 'model', 'status', 'epochs'):\n"
        "    parser.add_argument(f'--{name}', required=True)\n"
        "print(json.dumps(vars(parser.parse_args())), open(f'/proc/self/cmdline').read().count('sig='))\n"
    )
    message = {**a_message(host), "plugin_name": "mine"}
    del message["config"]
    queue.send_message(json.dumps(message))
    bare_machine.ok("consume", "--once")
    bare_machine.ok("control", "run", "--until-idle")
    (training,) = json.loads(bare_machine.ok("query", "--json"))["trainings"]
    assert training["status"] == "completed"
    log = bare_machine.ok("control", "logs", training["_id"])
    assert '"epochs": "2"' in log and "} 0" in log and "verysecret" not in log
    shown = bare_machine.ok("query", training["_id"], "--json")
    assert "verysecret" not in shown and host.posts == {} == host.puts


def test_killed_and_stopped_consumers_leave_the_message(bare_machine: Machine, queue: QueueClient, host: Host) -> None:
    host.drips.add("/boxes.csv")  # it hangs in the midst of it
    queue.send_message(json.dumps(a_message(host)))
    process = bare_machine.start("consume")
    until(lambda: host.gets["/boxes.csv"], "the consumer downloads")
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    host.drips.clear()
    assert "queued" in bare_machine.ok("consume", "--once")
    assert "queued" not in bare_machine.ok("consume", "--once")
    assert len(json.loads(bare_machine.ok("query", "--json"))["trainings"]) == 1


@pytest.mark.long
def test_a_message_is_trained_on_azure_ml(
    bare_machine: Machine, queue: QueueClient, host: Host, azurite: Azurite, tmp_path: Path
) -> None:
    """No node sees the images that were downloaded here: they are read from the artifact store. In the gate this is
    seen in its parts: tests/unit/interop/vott/test_stored_set.py, test_image_reach.py."""
    with running(tmp_path / "azure") as azure, azurite.new_container() as container:
        azure.populate()
        azure.configure(warm_runs=warm_runs())
        cluster = {**CONNECTION, "name": COMPUTE, "kind": "azureml", "workspace": WORKSPACE, "gpus": 0, "sdk": "v2"}
        bare_machine.environment |= azure.environment(bare_machine.folder)
        bare_machine.environment["MITORCH_CLUSTERS"] = json.dumps([cluster])
        refused = bare_machine.run("consume", "--once")  # the folder of the emulator, which is said to be no node's
        assert refused.code == 2 and "no cluster sees" in refused.err and "MITORCH_STORAGE_URL" in refused.err
        storage = f"{azurite.connection_string}Container={container.container_name};Prefix=team"
        bare_machine.environment["MITORCH_STORAGE_URL"] = storage
        for number in range(2):  # the second message has the same content: nothing is stored anew
            queue.send_message(json.dumps(a_message(host, name=f"n{number}")))
            assert " queued" in bare_machine.ok("consume", "--once")
        names = [name for name in container.list_blob_names() if name.startswith("team/datasets/vott/")]
        stored = sorted(name.rpartition("/")[2] for name in names)
        assert stored == ["images-1.zip", "labels.txt", "train.csv", "val.csv"]
        shutil.rmtree(bare_machine.home / "vott")  # a node has none of it
        shutil.rmtree(bare_machine.home / "datasets")
        found = json.loads(bare_machine.ok("query", "--json"))["trainings"]
        assert found[0]["dataset"] == found[1]["dataset"]
        bare_machine.ok("control", "cancel", found[1]["_id"])
        bare_machine.ok("control", "run", "--until-idle", "--every", "1")
        status = bare_machine.query(found[0]["_id"])["status"]
        assert status == "completed", [azure.log(run["runId"]) for run in azure.runs()]
        shown = bare_machine.ok("dataset", "show", found[0]["dataset"]["name"])
        assert "AccountKey" not in shown and "sig=" not in shown.replace("sig=***", "")
        until(lambda: "the model is stored at" in bare_machine.ok("consume", "--once"), "the model is delivered")
        ((content, _), *_) = host.puts["/models/model.tgz"]
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert tar.extractfile("classes.csv").read() == b"cat,0\ndog,1\n"  # type: ignore[union-attr]


@pytest.mark.long
@pytest.mark.timeout(4 * PATIENCE)
def test_consumers_that_are_killed_lose_nothing_and_do_nothing_twice(
    bare_machine: Machine, queue: QueueClient, host: Host
) -> None:
    """Kills by SIGKILL, at three moments; the lease of a message ends 30 s after each. In the gate every step is cut
    off within one process: tests/unit/interop/vott/test_consumer.py."""
    queue.send_message(json.dumps(a_message(host)))
    for path in ("/boxes.csv", "/images/0.png", "/images/5.png"):
        host.gets.clear()
        host.drips.add(path)
        process = bare_machine.start("consume")
        until(lambda path=path: host.gets[path], f"the consumer asks for {path}", PATIENCE)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        host.drips.clear()
        assert json.loads(bare_machine.ok("query", "--json"))["trainings"] == []
        assert not [path for path in (bare_machine.home / "datasets").glob("vott/*") if not path.name.startswith(".")]
    until(lambda: "queued" in bare_machine.ok("consume", "--once"), "the last lease ends", PATIENCE)
    assert len(json.loads(bare_machine.ok("query", "--json"))["trainings"]) == 1
    assert queue.get_queue_properties().approximate_message_count == 0

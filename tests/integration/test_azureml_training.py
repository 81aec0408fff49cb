"""Trainings "on Azure": what an emulated service does to runs, and what a command makes of it."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import pytest

from tests.acceptance.conftest import Machine, until
from tests.azureml_emulator.client import COMPUTE, PASSWORD, Emulator
from tests.azurite_server import Azurite
from tests.integration.azureml_training_suite import AzureTrainingSuite, submit


class TestSecondSDK(AzureTrainingSuite):
    """And what does not depend on the SDK, with the default one."""

    sdk = "v2"
    submission = ("job.create", 201, "/jobs/")

    @pytest.mark.long
    def test_a_preempted_training_goes_back_to_the_queue_and_is_completed(
        self, azure: Emulator, machine: Machine
    ) -> None:
        id = submit(machine, max_epochs=5)
        machine.ok("control")
        until(lambda: machine.query(id).get("progress"), "an epoch is there", 120)
        azure.preempt(f"mt-{id}-a1")
        assert azure.wait(f"mt-{id}-a1", seconds=120) == "Failed"  # started a second time, it says that it is lost
        assert azure.run(f"mt-{id}-a1")["starts"] == 2
        assert "it had begun on a node that was taken away" in azure.log(f"mt-{id}-a1")
        found = machine.query(id)  # the node has recorded it, whatever Azure says of it, and in which language
        assert (found["status"], found["attempts"][0]["outcome"]) == ("new", "lost")
        assert found["attempts"][0]["preempted"] is True
        machine.ok("control")
        assert azure.wait(f"mt-{id}-a2", seconds=240) == "Completed", azure.log(f"mt-{id}-a2")
        found = machine.query(id)
        assert found["status"] == "completed"
        assert [attempt["outcome"] for attempt in found["attempts"]] == ["lost", "completed"]
        assert [epoch["epoch"] for epoch in found["curve"]] == list(range(1, 6))

    @pytest.mark.long
    def test_a_training_that_fails_is_not_tried_again(self, azure: Emulator, machine: Machine) -> None:
        digits = machine.folder / "digits"
        files = {"path": str(digits / "train.txt")}, {"path": str(digits / "val.txt")}
        broken = [{"name": "gone", "version": 1, "train": files[0], "val": files[1]}]
        kept = (digits / "val.txt").read_text()
        machine.ok("dataset", "register", machine.write("gone.json", broken))
        id = submit(machine, dataset="gone")
        (digits / "val.txt").unlink()
        try:
            machine.ok("control")
            assert azure.wait(f"mt-{id}-a1", seconds=120) == "Failed"
        finally:
            (digits / "val.txt").write_text(kept)
        found = machine.query(id)
        assert found["status"] == "failed"
        assert "gone:1 val" in found["error"]["message"]
        assert machine.ok("control") == "nothing to do"

    @pytest.mark.long
    def test_running_trainings_are_canceled_by_command_and_in_the_studio(
        self, azure: Emulator, machine: Machine
    ) -> None:
        azure.configure(kill_grace=60.0)
        ids = [submit(machine, max_epochs=10_000) for _ in range(2)]
        machine.ok("control")
        for id in ids:
            until(lambda id=id: machine.query(id).get("progress"), "an epoch is there", 120)  # type: ignore[misc]
        machine.ok("control", "cancel", ids[0])
        azure.cancel(f"mt-{ids[1]}-a1")
        for id in ids:
            assert azure.wait(f"mt-{id}-a1", seconds=100) in ("Canceled", "Completed")
            assert machine.query(id)["status"] == "canceled", azure.log(f"mt-{id}-a1")

    @pytest.mark.long
    def test_a_training_that_azure_refuses_goes_back_and_why_tells_it(self, azure: Emulator, machine: Machine) -> None:
        azure.configure(hold=True)
        words = {"error": {"code": "Forbidden", "message": "no permission to run jobs"}}
        azure.faults.status(403, words, operation="job.create", count=None)
        id, other = submit(machine), submit(machine)
        told = machine.run("control")
        assert "no permission to run jobs" in told.out + told.err
        assert told.out.count("attempt 1 refused") == 2
        found = machine.query(id)
        assert (found["status"], found["attempts"][0]["outcome"]) == ("new", "refused")
        assert "submitted_at" not in {name for name, value in found["attempts"][0].items() if value is not None}
        assert "attempt" not in machine.ok("control")  # the cluster rests
        why = machine.ok("query", id, "--why")
        assert "its attempt 1 ended: Cluster cpu: no permission to run jobs" in why
        flat = " ".join(re.sub(r"[│|]", " ", why).split())
        assert "has refused it" in flat
        assert "role AzureML Data Scientist" in flat
        assert (
            "no permission to run jobs" in machine.run("control", "status", "--json").json["clusters"]["cpu"]["refusal"]
        )
        assert "has refused training" in machine.ok("control", "status")
        azure.faults.clear()
        machine.ok("control", "cancel", other)
        machine.ok("control", "cancel", id)
        assert machine.run("control", "status", "--json").json["clusters"]["cpu"]["refusal"] is None
        machine.ok("control", "retry", id)  # whoever has repaired it need not wait
        assert f"launched on {COMPUTE} (attempt 2)" in machine.ok("control")
        assert [run["runId"] for run in azure.runs() if id in run["runId"]] == [f"mt-{id}-a2"]
        machine.ok("control", "cancel", id)

    @pytest.mark.long
    def test_a_training_that_stores_in_blobs_shows_its_token_nowhere(
        self, azure: Emulator, machine: Machine, azurite: Azurite
    ) -> None:
        container = azurite.new_container()
        sas = azurite.sas(container.container_name)
        signature = sas.partition("sig=")[2]
        stores = {"MITORCH_STORAGE_URL": f"{azurite.url(container.container_name)}?{sas}"}
        other = Machine(machine.folder, {**machine.environment, **stores})
        id = submit(other)
        said = [other.ok("control")]
        assert azure.wait(f"mt-{id}-a1", seconds=240) == "Completed", azure.log(f"mt-{id}-a1")
        found = other.query(id)
        assert found["status"] == "completed", azure.log(f"mt-{id}-a1")
        blobs = {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs(f"{id}/")}
        assert f"{id}/model.pth" in blobs
        assert any(name.endswith("/log.txt") for name in blobs)
        said += [json.dumps(found), other.ok("query", id), other.ok("control", "logs", id), azure.log(f"mt-{id}-a1")]
        database = b"".join(path.read_bytes() for path in other.home.glob("mitorch.db*"))
        texts = {*said, *(content.decode("latin1") for content in (database, *blobs.values()))}
        traffic = {json.dumps(r) for r in azure.traffic() if not r["operation"].startswith("secret")}
        for secret in (signature, unquote(signature), PASSWORD):
            assert not [text for text in texts if secret in text]
        assert not [text for text in traffic if signature in text or unquote(signature) in text]
        assert any(signature in value for value in azure.secrets().values())  # where the run has it from


@pytest.mark.long
class TestFirstSDK(AzureTrainingSuite):
    sdk = "v1"
    submission = ("submit", 200, "runId=")
    from_snapshot = False  # the nodes' side is the same

"""Trainings "on Azure" through either SDK: the real commands, and a service that really runs what is submitted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING
from tests.azureml_emulator.client import COMPUTE, PASSWORD, WORKSPACE, Emulator
from tests.azureml_worker import CONNECTION
from tests.warm.command import warm_runs

CLUSTER = {**CONNECTION, "name": COMPUTE, "workspace": WORKSPACE, "price": 2.5, "low_priority": True, "gpus": 0}


class AzureTrainingSuite:
    """A subclass for each SDK."""

    sdk = "v1"
    from_snapshot = True  # whether a run is started from the code that was uploaded, and not forked
    submission = ("submit", 200, "runId=")  # operation, status, and what stands before a run's name in its path

    @pytest.fixture
    def azure(self, furnished: tuple[Emulator, Machine]) -> Iterator[Emulator]:
        """The server from which runs are forked: see `tests.warm`."""
        furnished[0].configure(warm_runs=warm_runs())
        yield furnished[0]
        furnished[0].faults.clear()
        furnished[0].configure(hold=False)

    @pytest.fixture
    def machine(self, furnished: tuple[Emulator, Machine]) -> Machine:
        return furnished[1]

    @pytest.mark.long
    def test_a_drill_evicts_a_run_which_resumes_with_the_same_curve(self, azure: Emulator, machine: Machine) -> None:
        answer = machine.run("control", "drill", COMPUTE, "--json")
        assert answer.code == 0, f"{answer}\n{[azure.log(run['runId']) for run in azure.runs()]}"
        assert answer.json["passed"]
        assert answer.json["outcomes"] == ["lost", "completed"]

    def test_a_training_runs_on_azure_from_its_submission_to_its_result(
        self, azure: Emulator, machine: Machine
    ) -> None:
        if self.from_snapshot:
            azure.configure(warm_runs={})
        id = submit(machine)
        said = machine.ok("control")
        assert f"launched on {COMPUTE}" in said
        run = f"mt-{id}-a1"
        assert azure.wait(run, seconds=120) == "Completed", azure.log(run)
        found = machine.query(id)
        assert found["status"] == "completed", azure.log(run)
        assert "top1_accuracy" in found["evaluation"]
        assert found["attempts"][0]["cluster"] == COMPUTE
        assert found["attempts"][0]["url"].startswith("https://ml.azure.com/runs/")
        assert [epoch["epoch"] for epoch in found["curve"]] == [1, 2]
        metrics = azure.run(run)["metrics"]
        assert {"train_loss", "val_loss", "top1_accuracy", "learning_rate"} <= set(metrics)
        assert_no_secret(azure, machine, run, said)

    @pytest.mark.long
    def test_the_picture_and_the_table_of_a_script_are_on_its_run(self, azure: Emulator, machine: Machine) -> None:
        folder = machine.folder / "program"
        folder.mkdir()
        (folder / "plots.py").write_text(
            "import mitorch_service as m\n"
            "m.report(1, metrics={'recall': 0.5})\n"
            "m.log_image('curve', b'\\x89PNG\\r\\n\\x1a\\n of it')\n"
            "m.log_table('per_class', [{'class': 'a', 'AP': 0.5}, {'class': 'b', 'AP': 1}])\n"
        )
        script = {"command": ["python3", "plots.py"], "source": str(folder)}
        id = machine.ok("submit", machine.write("script.json", {"script": script}))
        machine.ok("control")
        run = f"mt-{id}-a1"
        assert azure.wait(run, seconds=120) == "Completed", azure.log(run)
        assert machine.query(id)["status"] == "completed", azure.log(run)
        metrics = azure.run(run)["metrics"]
        assert metrics["recall"]["value"][0]["data"] == {"recall": 0.5}
        assert [row["data"] for row in metrics["per_class"]["value"]] == [
            {"class": "a", "AP": 0.5},
            {"class": "b", "AP": 1},
        ]
        assert metrics["curve"]["value"][0]["data"]["curve"].endswith(f"{run}/curve.png")

    def test_overlapping_passes_launch_each_training_once(self, azure: Emulator, machine: Machine) -> None:
        azure.configure(hold=True)
        ids = [submit(machine) for _ in range(3)]
        passes = [machine.start("control") for _ in range(2)]
        for process in passes:
            assert "Error" not in process.communicate(timeout=120)[0]
        operation, status, before = self.submission
        created = [r["path"] for r in azure.traffic() if (r["operation"], r["status"]) == (operation, status)]
        assert [sum(f"{before}mt-{id}-a" in path for path in created) for id in ids] == [1, 1, 1]
        for id in ids:
            machine.ok("control", "cancel", id)


def submit(machine: Machine, **changes: Any) -> str:
    """Queues a tiny training."""
    return machine.ok("submit", machine.write("training.json", {**TINY_TRAINING, **changes}))


def assert_no_secret(azure: Emulator, machine: Machine, run: str, said: str) -> None:
    """The address of the database stands for all that goes through the vault."""
    secret = f"sqlite:///{machine.home / 'mitorch.db'}"
    assert secret in azure.secrets().values()
    database = b"".join(path.read_bytes() for path in machine.home.glob("mitorch.db*"))
    logs = "".join(path.read_text() for path in (machine.home / "artifacts").rglob("log.txt"))
    for text in (said, azure.log(run), logs, database.decode("latin1")):
        assert secret not in text
        assert PASSWORD not in text
    for record in azure.traffic():
        kind, text = record["operation"].partition(".")[0], json.dumps(record)
        assert kind == "secret" or secret not in text, record["operation"]
        assert kind == "identity" or PASSWORD not in text, record["operation"]
    assert azure.refused() == []

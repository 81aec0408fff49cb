"""The smaller commands: data sets, orders, status, doctor, watching, output for machines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_SEARCH

SAS = "https://account.blob.core.windows.net/c/x.txt?sv=1&sig=SECRETSIG"


def test_data_sets_are_listed_shown_and_removed(machine: Machine) -> None:
    assert "digits  1" in machine.ok("dataset", "list")
    shown = json.loads(machine.ok("dataset", "show", "digits", "--json"))
    assert shown["_id"] == "digits:1"
    assert shown["train"]["path"] == str(machine.folder / "digits" / "train.txt")
    training = machine.ok("submit", "training.json")
    refused = machine.run("dataset", "remove", "digits:1")
    assert (refused.code, training in refused.err) == (1, True)
    machine.ok("control", "cancel", training)
    assert machine.run("dataset", "remove", "digits").code == 2  # which version?
    machine.ok("dataset", "remove", "digits:1")
    assert machine.run("dataset", "show", "digits").code == 1


def test_a_registration_is_all_or_nothing(machine: Machine) -> None:
    definitions = json.loads((machine.folder / "digits" / "digits.json").read_text())
    good, bad = {**definitions[0], "version": 2}, {**definitions[0], "version": 3}
    bad["val"] = {"path": SAS, "support_files": []}
    machine.write("digits/two.json", [good, bad])
    answer = machine.run("dataset", "register", "digits/two.json")
    assert answer.code == 2
    assert "[1].val.path" in answer.err
    assert "SECRETSIG" not in answer.err
    assert "digits  2" not in machine.ok("dataset", "list")


def test_orders_on_the_queue(machine: Machine) -> None:
    first, second = machine.ok("submit", "training.json"), machine.ok("submit", "training.json")
    machine.ok("control", "priority", second[:8], "1")
    queue = machine.run("control", "status", "--json").json["queue"]
    assert [row["_id"] for row in queue] == [second, first]
    machine.ok("control", "cancel", first)
    assert machine.query(first)["status"] == "canceled"
    machine.ok("control", "retry", first)
    assert machine.query(first)["status"] == "new"
    assert machine.run("control", "delete", first).code == 1
    machine.ok("control", "cancel", first)
    machine.ok("control", "delete", first)
    assert machine.run("query", first).code == 1


def test_lists_are_filtered(machine: Machine) -> None:
    tagged = machine.ok("submit", "training.json", "--tag", "team=a", "--name", "one")
    machine.ok("submit", "training.json", "--tag", "team=b")
    job = machine.ok("submit", machine.write("search.json", TINY_SEARCH))
    machine.ok("control", "cancel", job)
    rows = machine.run("query", "--tag", "team=a", "--json").json["trainings"]
    assert [row["_id"] for row in rows] == [tagged]
    assert "one" in machine.ok("query", "--status", "new", "--tag", "team=a")
    assert machine.run("query", "--job", job[:8], "--json").json["trainings"] == []
    assert machine.run("query", "--job", tagged).code == 1
    assert machine.run("submit", "training.json", "--tag", "nothing").code == 2


def test_a_submission_from_standard_input_waits_for_its_end(machine: Machine) -> None:
    text = (machine.folder / "training.json").read_text()
    waiting = subprocess.Popen(
        [sys.executable, "-m", "mitorch_service.cli.main", "submit", "-", "--wait", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=machine.folder,
        env=machine.environment,
    )
    assert waiting.stdin is not None
    waiting.stdin.write(text)
    waiting.stdin.close()
    until(lambda: machine.run("query", "--json").json["trainings"], "it is queued")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    assert waiting.wait(timeout=60) == 0
    assert waiting.stdout is not None
    assert waiting.stderr is not None
    assert json.loads(waiting.stdout.read())["kind"] == "training"
    note, status = waiting.stderr.read().splitlines()
    assert note.startswith("Note: no controller has made a pass yet")
    assert status == "completed"
    waiting.stdout.close()
    waiting.stderr.close()


def test_watching_ends_with_the_training_or_with_ctrl_c(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    watching = machine.start("query", training, "--watch")
    until(lambda: watching.poll() is None, "it watches")
    machine.ok("control", "cancel", training)
    out, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    assert "canceled" in out
    forever = machine.start("query", "--watch")
    assert forever.stdout is not None
    until(lambda: "trainings" in forever.stdout.readline(), "it has shown something")  # type: ignore[union-attr]
    forever.send_signal(signal.SIGINT)
    forever.communicate(timeout=20)
    assert forever.returncode == 130


def test_the_doctor_finds_what_is_wrong(machine: Machine) -> None:
    out = machine.ok("doctor")
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 7
    uri = "mongodb://someone:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=200"
    sick = machine.run("doctor", MITORCH_DB_URI=uri, MITORCH_STORAGE_URL="/proc/nowhere")
    assert sick.code == 1
    assert sick.out.count("FAIL") == 2
    assert "s3cret" not in sick.out + sick.err
    assert "firewall" in sick.out


def test_every_command_explains_itself(bare_machine: Machine) -> None:
    listed = bare_machine.ok("--help")
    for command in ("submit", "query", "dataset", "control", "train", "test", "run", "doctor"):
        assert command in listed
        assert "--debug" in bare_machine.ok(command, "--help")
    assert bare_machine.run("query", "--nonsense").code == 2
    assert bare_machine.run("nonsense").code == 2

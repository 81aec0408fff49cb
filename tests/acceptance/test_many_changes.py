"""micontrol's changes of several trainings and jobs at once, labels, following a log, restoring."""

from __future__ import annotations

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_SEARCH


def test_several_ids_and_filters(machine: Machine) -> None:
    first, second, third = (machine.ok("submit", "training.json", "--tag", f"team={team}") for team in ("a", "a", "b"))
    job = machine.ok("submit", machine.write("search.json", TINY_SEARCH), "--tag", "team=a")

    refused = machine.run("control", "priority", "--tag", "team=a", "7")
    assert (refused.code, refused.out) == (2, "")
    assert "This would prioritise 1 job with all trials and 2 trainings" in refused.err
    assert "--yes" in refused.err
    out = machine.ok("control", "priority", "--tag", "team=a", "-7", "--yes")
    assert out.count("priority -7") == 3
    assert [machine.query(id)["priority"] for id in (first, third, job)] == [-7, 100, -7]
    machine.ok("control", "priority", third[:8], "-9")
    assert machine.query(third)["priority"] == -9

    answer = machine.run("control", "cancel", first[:8], third, "--json").json
    assert [(change["kind"], change["id"]) for change in answer["changed"]] == [
        ("training", first),
        ("training", third),
    ]
    again = machine.run("control", "delete", first, second, third)  # of which one has not ended
    assert again.code == 1
    assert again.out.splitlines() == [f"training {first} deleted", f"training {third} deleted"]
    assert again.err == f"left as it is: training {second} is new: it cannot be deleted. Cancel it first.\n"
    unknown = machine.run("control", "cancel", second, "0123456789")  # nothing is changed by half
    assert (unknown.code, unknown.out) == (1, "")
    assert machine.query(second)["status"] == "new"

    assert machine.run("control", "cancel", "--tag", "team=a", "--yes", "--json").json["changed"][0]["id"] == job
    assert machine.query(second)["status"] == "canceled"
    assert machine.ok("control", "cancel", "--status", "running") == "nothing to cancel: no training and no job fits"
    assert machine.run("control", "cancel", "--status", "completed").code == 2  # what has ended so
    assert machine.run("control", "cancel", second, "--tag", "a=b").code == 2
    assert machine.run("control", "retry").code == 2
    assert machine.ok("control", "retry", "--status", "canceled", "--yes") == f"training {second} queued again"


def test_labels(machine: Machine) -> None:
    first, second = (machine.ok("submit", "training.json", "--tag", "team=a", "--tag", "stage=1") for _ in range(2))
    assert machine.ok("control", "tag", first, "team=b", "new=1", "--remove", "stage") == f"training {first} tagged"
    assert machine.query(first)["tags"] == ["team=b", "new=1"]
    machine.ok("control", "tag", "--tag", "team=a", "team=c", "--yes")
    assert machine.query(second)["tags"] == ["stage=1", "team=c"]
    assert machine.ok("control", "name", second[:8], "best so far") == f"training {second} has the name best so far"
    machine.ok("control", "note", second, "-", "--json")
    machine.ok("control", "note", second, "to be shown")
    shown = machine.query(second)
    assert (shown["name"], shown["user_note"]) == ("best so far", "to be shown")
    assert "to be shown" in machine.ok("query", second)
    assert machine.ok("control", "note", second, "--remove") == f"training {second} has no note any more"
    assert "user_note" not in machine.query(second)
    for wrong in (["tag", first], ["tag", first, "=x"], ["name", first], ["name", first, "x", "--remove"]):
        assert machine.run("control", *wrong).code == 2
    assert machine.run("control", "name", first, "x" * 201).code == 2


def test_a_log_is_followed(machine: Machine) -> None:
    machine.write("talk.py", "import time\nfor n in range(3):\n    print('line', n, flush=True)\n    time.sleep(.2)\n")
    machine.write("script.json", {"script": {"command": "python talk.py", "source": "talk.py"}})
    training = machine.ok("submit", "script.json")
    following = machine.start("control", "logs", training, "--follow")  # before there is an attempt
    machine.ok("control", "run", "--until-idle", "--every", "0.1")
    out, _ = following.communicate(timeout=60)
    assert following.returncode == 0
    whole = machine.ok("control", "logs", training)
    assert out.strip() == whole
    assert [f"line {number}" in out for number in range(3)] == [True] * 3
    assert machine.ok("control", "logs", training, "--tail", "1") == whole.splitlines()[-1]


def test_what_was_pruned_is_restored(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    machine.ok("control", "cancel", training)
    prune = ("control", "prune", "--older-than", "0h", "--archive", "old.jsonl.gz")
    assert "1 training and 0 jobs moved to old.jsonl.gz" in machine.ok(*prune)
    assert machine.run("query", training).code == 1
    told = machine.ok("control", "restore", "old.jsonl.gz", "--dry-run")
    assert told == "1 training and 0 jobs would be restored (nothing was changed)"
    assert machine.run("query", training).code == 1
    assert machine.run("control", "restore", "old.jsonl.gz", training[:8], "--json").json == {
        "trainings": 1,
        "jobs": 0,
        "present": 0,
    }
    assert machine.query(training)["status"] == "canceled"
    assert "1 in the database already, left as it is" in machine.ok("control", "restore", "old.jsonl.gz")
    assert machine.run("control", "restore", "training.json").code == 2
    assert machine.run("control", "restore", "old.jsonl.gz", "ffffffff").code == 1

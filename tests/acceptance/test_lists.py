"""Lists, names, comparisons and hostile text, through the real commands."""

from __future__ import annotations

import json

from mitorch_service.stores.sqlite.store import SqliteStore
from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_SEARCH
from tests.samples import a_training

HOSTILE = "evil \x1b]0;title\x07\x1b[2J\nstatus completed"
SHOWN = r"evil \x1b]0;title\x07\x1b[2J\nstatus completed"


def test_trainings_and_jobs_are_listed_and_found_by_their_names(machine: Machine) -> None:
    first = machine.run(
        "submit", "training.json", "--name", "first", "--tag", "team=a", MITORCH_USER="maria"
    ).out.strip()
    second = machine.ok("submit", "training.json", "--name", "second")
    job = machine.ok("submit", machine.write("search.json", TINY_SEARCH), "--name", "sweep")
    assert machine.query("first")["submitted_by"] == "maria"
    rows = machine.ok("query").splitlines()
    assert rows[1].split()[:7] == ["ID", "STATUS", "NAME", "EPOCH", "LEFT", "RESULT", "TAGS"]
    assert [row.split()[0] for row in rows[2:4]] == [first[:8], second[:8]]
    assert "team=a" in rows[2]
    assert rows[-1] == "2 of 2: 2 new"
    assert machine.ok("query", "--tag", "team=a").splitlines()[-1] == "1 of 1 that fit: 1 new"
    assert machine.ok("query", "--tag", "team=z").splitlines()[-1] == "none fits"
    jobs = machine.ok("query", "--jobs").splitlines()
    assert jobs[2].split()[:3] == [job[:8], "new", "sweep"]
    assert machine.run("query", "--jobs", "--json").json["jobs"][0]["_id"] == job
    assert machine.ok("query", "sweep").startswith("job ")
    assert machine.run("query", "third").code == 1
    assert machine.run("query", "--jobs", "--status", "new").code == 2
    assert machine.run("query", first, "--tag", "a=b").code == 2
    differing = machine.run("query", "first", second[:8], "--json").json
    assert [one["id"] for one in differing["trainings"]] == [first, second]
    assert differing["differences"] == {}
    assert machine.ok("query", "first", "second", "--csv").startswith("training,name,epoch,train_loss")
    assert "the configs are the same" in machine.ok("query", "first", "second")


def test_hostile_text_is_shown_and_does_not_reach_the_terminal(machine: Machine) -> None:
    refused = machine.run("submit", "training.json", "--name", HOSTILE)
    assert (refused.code, "\x1b" in refused.err) == (2, False)
    store = SqliteStore(machine.home / "mitorch.db")  # as an earlier version, or another program, has stored it
    store.queue.add_trainings([a_training(name=HOSTILE, tags=[f"a={HOSTILE}"])])
    store.close()
    training = machine.run("query", "--json").json["trainings"][0]["_id"]
    for arguments in (["query"], ["query", training], ["control", "status"], ["query", HOSTILE]):
        shown = machine.ok(*arguments)
        assert SHOWN in shown
        assert "\x1b" not in shown
        assert "\nstatus completed" not in shown
    assert machine.query(training)["name"] == HOSTILE
    refused = machine.run("query", HOSTILE + "x")
    assert "\x1b" not in refused.err
    assert refused.code == 1


def test_a_log_is_shown_escaped_unless_it_is_asked_for_raw(machine: Machine) -> None:
    command = ["printf", r"\033[31mred\033[0m\n"]
    name = machine.write("printing.json", {"script": {"command": command}, "dataset": "digits"})
    training = machine.ok("submit", name)
    machine.ok("control", "run", "--until-idle", "--every", "0.2")
    assert "\\x1b[31mred\\x1b[0m\n" in machine.ok("control", "logs", training)
    assert "\x1b[31mred\x1b[0m\n" in machine.ok("control", "logs", training, "--raw")


def test_explaining_and_watching_give_json(machine: Machine) -> None:
    explained = machine.run("submit", "training.json", "--explain", "--json").json
    assert (explained["kind"], explained["dataset"]) == ("training", "digits:1")
    search = machine.run("submit", machine.write("search.json", TINY_SEARCH), "--explain", "--json").json
    assert [trial["number"] for trial in search["trials"]] == list(range(len(search["trials"])))
    assert machine.run("query", "--json").json["total"] == 0
    training = machine.ok("submit", "training.json")
    watching = machine.start("query", training, "--watch", "--json")
    assert watching.stdout is not None
    first = until(lambda: watching.stdout and watching.stdout.readline(), "it has shown something")
    assert json.loads(first)["status"] == "new"
    machine.ok("control", "cancel", training)
    out, _ = watching.communicate(timeout=20)
    assert json.loads(out.splitlines()[-1])["status"] == "canceled"


def test_the_wait_for_a_failed_training_tells_why(machine: Machine) -> None:
    script = {"script": {"command": ["sh", "-c", "exit 3"]}, "dataset": "digits"}
    waiting = machine.start("submit", machine.write("script.json", script), "--wait")
    until(lambda: machine.run("query", "--json").json["trainings"], "it is queued")
    passes = machine.ok("control", "run", "--until-idle", "--every", "0.2")
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    reason = out.splitlines()[-1].removeprefix("failed: ")
    assert "3" in reason
    assert f" failed: {reason}" in passes


def test_a_data_set_tells_its_classes(machine: Machine) -> None:
    shown = machine.ok("dataset", "show", "digits")
    contents = machine.run("dataset", "show", "digits", "--json").json["contents"]
    counts = {one["name"]: one["count"] for one in contents["train"]["counts"]}
    assert sum(counts.values()) == contents["train"]["images"]
    assert f"{contents['train']['images']}, multiclass, {len(counts)} classes" in shown
    assert "CLASS  TRAIN  VAL" in shown

"""misubmit --many and miquery --json: many at once, through the real commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.wiring import open_store
from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_SEARCH, TINY_TRAINING
from tests.fakes import primitives
from tests.samples import a_dataset, a_training
from tests.small_disk import tmpfs

FEW, MANY = 2_000, 12_000  # more than is read at a time; held in memory, 10,000 more would take 15 to 20 MB
MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "mitorch_service.cli.main", *sys.argv[1:]], stdout=sys.stderr).returncode
assert code == 0, code
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.fixture
def store(bare_machine: Machine) -> Iterator[Store]:
    """The database of the machine, with a data set whose files nobody needs here."""
    yield from _store_of(bare_machine, {})


@pytest.fixture
def each_store(bare_machine: Machine, database_environment: dict[str, str]) -> Iterator[Store]:
    """The same on each database."""
    bare_machine.environment.update(database_environment)
    yield from _store_of(bare_machine, database_environment)


def _store_of(machine: Machine, environment: dict[str, str]) -> Iterator[Store]:
    store = open_store(read_settings({"MITORCH_HOME": str(machine.home), **environment}), create=True)
    store.prepare()
    store.datasets.add_dataset(a_dataset("digits", 1))
    yield store
    store.close()


def lines(count: int, **fields: Any) -> str:
    """Configs that differ in their seed, one a line."""
    return "".join(json.dumps({**TINY_TRAINING, **fields, "seed": seed}) + "\n" for seed in range(count))


def seeds(store: Store) -> list[int]:
    """The seeds of all trainings, in the order in which they were queued."""
    rows = reversed(store.trainings.list_trainings(TrainingFilter(), 1_000_000).items)
    return [store.trainings.get_training(row.id).config["seed"] for row in rows]


def total(store: Store) -> int:
    return sum(store.trainings.count_trainings().values())


def noted(machine: Machine) -> int:
    """How many are noted as queued, of the one submission there is."""
    receipts = [json.loads(path.read_text()) for path in machine.home.glob("many/*/*.json")]
    return sum(receipt["done"] for receipt in receipts)


def megabytes(machine: Machine, *arguments: str) -> int:
    """The most memory that a command held."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        capture_output=True,
        text=True,
        cwd=machine.folder,
        env=machine.environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_each_line_is_queued_in_order_with_the_options(machine: Machine) -> None:
    job = json.dumps(TINY_SEARCH)
    machine.write("many.jsonl", f"{lines(3)}\n  \n{job}\n\n")
    answer = json.loads(
        machine.ok(
            "submit",
            "--many",
            "many.jsonl",
            "--priority",
            "7",
            "--name",
            "n",
            "--tag",
            "a=b",
            "--dataset",
            "digits:1",
            "--json",
        )
    )
    assert [entry["place"] for entry in answer["submissions"]] == ["line 1", "line 2", "line 3", "line 6"]
    assert (answer["queued"], answer["queued_before"]) == (4, 0)
    documents = [machine.query(entry["id"]) for entry in answer["submissions"]]
    assert all((d["priority"], d["name"], d["tags"]) == (7, "n", ["a=b"]) for d in documents)
    assert [d["config"]["seed"] for d in documents[:3]] == [0, 1, 2]
    assert documents[3]["search"]["max_trials"] == TINY_SEARCH["search"]["max_trials"]
    assert documents[0]["arrival"] < documents[1]["arrival"] < documents[2]["arrival"]


def test_a_second_time_only_when_asked_for(bare_machine: Machine, store: Store) -> None:
    bare_machine.write("many.jsonl", lines(5))
    command = ("submit", "--many", "many.jsonl")
    assert bare_machine.ok(*command) == "5 queued"
    again = bare_machine.ok(*command)
    assert again.startswith("0 queued: all 5 already queued on 20")
    assert "--again" in again
    bare_machine.write("copy.jsonl", lines(5))  # what it is called does not matter, what it holds does
    assert bare_machine.ok("submit", "--many", "copy.jsonl").startswith("0 queued")
    assert total(store) == 5
    assert bare_machine.ok(*command, "--again") == "5 queued"
    assert bare_machine.ok(*command).startswith("0 queued")
    assert bare_machine.ok(*command, "--priority", "5") == "5 queued"  # other options: another submission
    assert total(store) == 15
    first = bare_machine.run(*command, "--json").json
    assert len({entry["id"] for entry in first["submissions"]}) == first["queued_before"] == 5
    assert not list(bare_machine.home.glob("many/*/*.gz"))


def test_a_folder_and_standard_input(bare_machine: Machine, store: Store) -> None:
    for name, seed in (("b.json", 1), ("a.json", 0), ("sub/c.json", 2)):
        (bare_machine.folder / "configs" / "sub").mkdir(parents=True, exist_ok=True)
        config = {**TINY_TRAINING, "seed": seed}
        bare_machine.write(f"configs/{name}", json.dumps(config, indent=2))
    bare_machine.write("configs/notes.txt", "not one")
    answer = json.loads(bare_machine.ok("submit", "--many", "configs", "--json"))
    assert [entry["place"] for entry in answer["submissions"]] == ["a.json", "b.json", "sub/c.json"]
    assert seeds(store) == [0, 1, 2]
    piped = [sys.executable, "-m", "mitorch_service.cli.main", "submit", "--many", "-", "--resume-key", "mine"]
    for expected, text in (("3 queued\n", lines(3)), ("0 queued: all 3", lines(2, batch_size=9))):
        done = subprocess.run(
            piped,
            input=text,
            capture_output=True,
            text=True,
            cwd=bare_machine.folder,
            env=bare_machine.environment,
            check=True,
        )
        assert done.stdout.startswith(expected)
    assert total(store) == 6


def test_nothing_is_queued_when_a_line_is_wrong(bare_machine: Machine, store: Store) -> None:
    bad = ['{"model": ', json.dumps({**TINY_TRAINING, "optimizer": {"momentum": 2}}), "[]", "x" * 1_100_000]
    bare_machine.write("many.jsonl", lines(40) + "\n".join(bad) + "\n" + lines(30, dataset="nowhere"))
    answer = bare_machine.run("submit", "--many", "many.jsonl")
    assert answer.code == 2
    told = answer.err.splitlines()
    assert told[0] == "Error: many.jsonl (34 of 74 configs are wrong; nothing was queued), the first: 20 problems"
    assert told[1].startswith("  line 41: column 11: ")
    assert told[2].startswith("  line 42: optimizer.momentum: ")
    assert told[3].startswith("  line 43: must be a JSON object")
    assert told[4].startswith("  line 44: is 1.0 MB; a config has at most 1 MB")
    assert told[5].startswith("  line 45: dataset: 'nowhere' is not registered; ")
    assert told[-1] == "  … and 14 more"
    assert total(store) == 0
    bare_machine.write("many.jsonl", lines(3))
    assert "3 trainings and 0 jobs would be queued" in bare_machine.ok("submit", "--many", "many.jsonl", "--explain")
    assert bare_machine.run("submit", "--many", "many.jsonl", "--explain", "--json").json["trainings"] == 3
    assert total(store) == 0
    assert bare_machine.ok("submit", "--many", "many.jsonl") == "3 queued"
    for nothing in ("empty.jsonl", "missing.jsonl"):
        bare_machine.write("empty.jsonl", "\n\n")
        assert bare_machine.run("submit", "--many", nothing).code == 2


@pytest.mark.parametrize(
    ("database_environment", "how"),  # a signal does the same whatever the database is
    [("sqlite", signal.SIGINT), ("mongo", signal.SIGKILL)],
    indirect=["database_environment"],
)
def test_interrupted_it_goes_on_where_it_was(bare_machine: Machine, each_store: Store, how: signal.Signals) -> None:
    count = 5_000
    bare_machine.write("many.jsonl", lines(count))
    process = bare_machine.start("submit", "--many", "many.jsonl")
    until(lambda: noted(bare_machine), "something is queued")
    process.send_signal(how)
    out = process.communicate()[0]
    assert process.returncode == (-how if how == signal.SIGKILL else 130), out
    before = noted(bare_machine)
    assert 0 < before < count
    assert how == signal.SIGKILL or f"{before} of {count} are queued; the same command continues from there" in out
    assert bare_machine.ok("submit", "--many", "many.jsonl") == f"{count - before} queued, {before} were before"
    assert total(each_store) == count
    assert not list(bare_machine.home.glob("many/*/*.gz"))


@pytest.mark.long
def test_without_its_notes_it_still_queues_none_twice(bare_machine: Machine, store: Store) -> None:
    bare_machine.write("many.jsonl", lines(2_500))
    bare_machine.ok("submit", "--many", "many.jsonl")
    bare_machine.ok("submit", "--many", "many.jsonl", "--again")
    for path in bare_machine.home.glob("many/*/*"):
        path.unlink()
    bare_machine.ok("submit", "--many", "many.jsonl")
    assert total(store) == 5_000


def test_two_at_once_queue_each_once(bare_machine: Machine, store: Store) -> None:
    bare_machine.write("many.jsonl", lines(3_000))
    processes = [bare_machine.start("submit", "--many", "many.jsonl") for _ in range(3)]
    answers = [process.communicate()[0] for process in processes]
    assert {process.returncode for process in processes} <= {0, 1}, answers
    assert any("3000 queued\n" in answer for answer in answers)
    assert total(store) == 3_000


@pytest.mark.long
def test_memory_does_not_grow_with_the_number(bare_machine: Machine, store: Store) -> None:
    bare_machine.write("few.jsonl", lines(FEW))
    bare_machine.write("many.jsonl", lines(MANY))
    few = megabytes(bare_machine, "submit", "--many", "few.jsonl")
    assert megabytes(bare_machine, "submit", "--many", "many.jsonl") < few + 10
    assert total(store) == FEW + MANY
    few = megabytes(bare_machine, "query", "--json", "--limit", str(FEW))
    assert megabytes(bare_machine, "query", "--json", "--limit", str(MANY)) < few + 10


def test_a_long_list_is_one_document(bare_machine: Machine, store: Store) -> None:
    store.queue.add_trainings([a_training() for _ in range(2_300)])
    for limit, expected in ((2_250, 2_250), (100_000, 2_300), (1, 1)):
        answer = bare_machine.run("query", "--json", "--limit", str(limit)).json
        ids = [row["_id"] for row in answer["trainings"]]
        assert len(set(ids)) == len(ids) == expected
    assert answer["counts"] == {"new": 2_300}
    assert bare_machine.run("query", "--json", "--status", "running").json["trainings"] == []


def test_a_long_list_tells_what_cannot_be_read_once(bare_machine: Machine, store: Store) -> None:
    good = [a_training() for _ in range(2_000)]
    store.queue.add_trainings(good)
    broken = [{**a_training().to_document(), "priority": "?", "arrival": t.arrival} for t in good[:1500]]
    newest = [{**a_training().to_document(), "status": "?"} for _ in range(1_200)]
    primitives(store).insert("trainings", [*broken, *newest])
    answer = bare_machine.run("query", "--json", "--limit", "10000").json
    assert [row["_id"] for row in answer["trainings"]] == [t.id for t in reversed(good)]
    unreadable = [row["id"] for row in answer["unreadable"]]
    assert sorted(unreadable) == sorted(document["_id"] for document in [*broken, *newest])
    assert len(bare_machine.run("query", "--json", "--limit", "1300").json["trainings"]) == 100


def test_contradictions_are_refused(bare_machine: Machine) -> None:
    bare_machine.write("many.jsonl", lines(1))
    for wrong in (["--many", "many.jsonl", "x.json"], [], ["x.json", "--again"], ["--many", "many.jsonl", "--wait"]):
        assert bare_machine.run("submit", *wrong).code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root")
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_disk_under_the_copy_is_told_and_nothing_is_queued(
    bare_machine: Machine, store: Store, stream: bool
) -> None:
    bare_machine.write("many.jsonl", lines(500))
    source = "-" if stream else "many.jsonl"
    command = [sys.executable, "-m", "mitorch_service.cli.main", "submit", "--many", source]
    with tmpfs(bare_machine.home / "many", "64k") as folder:
        (folder / "ballast").write_bytes(b"x" * 60_000)
        done = subprocess.run(
            command,
            input=(bare_machine.folder / "many.jsonl").read_text(),
            capture_output=True,
            text=True,
            cwd=bare_machine.folder,
            env=bare_machine.environment,
            check=False,
        )
        assert done.returncode == 1, done
        assert "MITORCH_HOME: cannot write " in done.stderr
        assert "No space left on device). Make room there" in done.stderr
        assert seeds(store) == []
        assert not [path for path in folder.rglob("*") if path.suffix in (".new", ".part")]
    assert bare_machine.ok("submit", "--many", "many.jsonl") == "500 queued"

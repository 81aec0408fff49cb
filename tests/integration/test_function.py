"""The Azure Function in a host of its own, against a database and the emulated Azure ML."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest

from mitorch_service.models.notification import Event, event_id
from mitorch_service.settings import read_settings
from mitorch_service.webhook_settings.webhook import EventKind
from mitorch_service.wiring import open_store
from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_SEARCH, TINY_TRAINING, write_small_digits
from tests.azureml_emulator.client import COMPUTE, PASSWORD, PRINCIPAL, TENANT, WORKSPACE, Emulator, running
from tests.azureml_worker import CONNECTION
from tests.functions_host import client
from tests.functions_host.client import Host, Line
from tests.samples import an_attempt, later
from tests.warm.command import warm_runs
from tests.webhook_receiver import receiving

EVERY_SECOND = "* * * * * *"
NEVER = "0 0 0 1 1 *"  # until next year
CLUSTER = {**CONNECTION, "name": COMPUTE, "workspace": WORKSPACE, "gpus": 0, "auth": {"env": "MITORCH_AML_AUTH"}}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("azure")) as started:
        started.populate(max_nodes=200)
        yield started


@pytest.fixture
def machine(azure: Emulator, tmp_path: Path, mongodb_uri: str) -> Iterator[Machine]:
    """Somebody who submits, and whose settings the app has too. No run is started while a test does not ask for it."""
    name = f"mitorch_function_{uuid.uuid4().hex[:8]}"
    azure.configure(hold=True)
    settings = {
        "MITORCH_DB_URI": mongodb_uri,
        "MITORCH_DB_NAME": name,
        "MITORCH_CLUSTERS": json.dumps([CLUSTER]),
        "MITORCH_AML_AUTH": f"{TENANT}:{PRINCIPAL}:{PASSWORD}",
        "MITORCH_SCHEDULE": EVERY_SECOND,
    }
    machine = Machine(tmp_path, {**azure.environment(tmp_path), **settings})
    machine.ok("dataset", "register", write_small_digits(tmp_path / "digits"))
    machine.write("training.json", TINY_TRAINING)
    yield machine
    azure.faults.clear()
    azure.configure(hold=False, latency=0.0)
    for run in azure.runs():
        azure.cancel(run["runId"])
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as database:
        database.drop_database(name)


@pytest.fixture
def hosts() -> Iterator[ExitStack]:
    """The hosts that a test has started end with it."""
    with ExitStack() as stack:
        yield stack


def start(hosts: ExitStack, machine: Machine, state: str = "timers.json", cold: bool = False, **settings: str) -> Host:
    environment = {**machine.environment, **settings}
    return hosts.enter_context(client.running(machine.folder / state, environment, cold=cold))


def begins(line: Line) -> bool:
    """Whether a pass has begun."""
    return bool(line["host"] == "begins" and line["function"] == "micontrol")


@pytest.mark.long
def test_a_search_that_was_submitted_runs_to_its_best_trial(
    azure: Emulator, machine: Machine, hosts: ExitStack
) -> None:
    azure.configure(hold=False, warm_runs=warm_runs())
    search = {**TINY_SEARCH, "config": {**TINY_SEARCH["config"], "max_epochs": 1}}
    job = machine.ok("submit", machine.write("search.json", search))
    home = {"HOME": str(machine.folder / "is-not-there"), "MITORCH_HOME": str(machine.home)}
    host = start(hosts, machine, cold=True, **home)
    last = host.wait_for_pass(lambda told: told["jobs_ended"], seconds=120)
    passes = host.events("pass")
    assert {name: sum(told[name] for told in passes) for name in ("trials_added", "launched", "failures", "lost")} == {
        "trials_added": 2,
        "launched": 2,
        "failures": 0,
        "lost": 0,
    }
    found = machine.query(job)
    assert (found["status"], found["counts"]) == ("completed", {"completed": 2}), azure.log(azure.runs()[0]["runId"])
    assert found["best"]["training_id"] == found["leaderboard"][0]["_id"]
    assert {run["status"] for run in azure.runs()} == {"Completed"}

    status, body = host.get("/api/health")
    answer = json.loads(body)
    assert (status, answer["ok"], answer["clusters"]) == (200, True, [COMPUTE])
    assert answer["database"].startswith("MongoDB")
    assert answer["last_pass"]["at"] >= last["at"]
    assert PASSWORD not in host.printed() + body
    assert azure.refused() == azure.left_loopback() == []


def test_it_passes_on_the_schedule_of_the_settings(machine: Machine, hosts: ExitStack) -> None:
    host = start(hosts, machine, MITORCH_SCHEDULE="*/2 * * * * *")
    assert host.functions["micontrol"][0]["schedule"] == "*/2 * * * * *"
    times = [datetime.fromisoformat(host.wait(begins)["at"]) for _ in range(2)]
    assert [time.second % 2 for time in times] == [0, 0]
    assert (times[1] - times[0]).total_seconds() > 1.5  # more where this machine is busy
    told = host.wait_for_pass()
    assert (told["complete"], told["past_due"], told["clusters_down"]) == (True, False, [])


def test_a_pass_that_was_missed_is_made_up_for(machine: Machine, hosts: ExitStack) -> None:
    machine.write("timers.json", {"next": "2026-01-01T00:00:00+00:00"})
    host = start(hosts, machine, MITORCH_SCHEDULE=NEVER)
    assert host.wait(begins)["past_due"]
    assert host.wait_for_pass()["past_due"]


@pytest.mark.long
def test_a_failing_pass_is_told_and_the_next_goes_on(machine: Machine, hosts: ExitStack) -> None:
    away = "mongodb://someone:s3cret-word@127.0.0.1:9/?serverSelectionTimeoutMS=200"
    host = start(hosts, machine, MITORCH_DB_URI=away)
    for _ in range(2):
        ended = host.wait(lambda line: line["host"] == "ends")
        assert not ended["ok"]
        assert "PassFailed: StoreUnavailable: " in ended["error"]
    assert {told["type"] for told in host.events("failure")} == {"StoreUnavailable"}
    status, body = host.get("/api/health")
    assert status == 503
    assert not json.loads(body)["ok"]
    assert "s3cret-word" not in host.printed() + body


def test_settings_that_are_wrong_are_told(machine: Machine, hosts: ExitStack) -> None:
    host = start(hosts, machine, MITORCH_CLUSTERS="[]")
    host.wait(lambda line: line["host"] == "ends")
    assert "MITORCH_CLUSTERS: needs one cluster or more" in host.events("failure")[0]["text"]
    status, body = host.get("/api/health")
    assert (status, "MITORCH_CLUSTERS" in body) == (503, True)


def test_a_cluster_that_is_down_is_counted(azure: Emulator, machine: Machine, hosts: ExitStack) -> None:
    lost = {**CLUSTER, "name": "lost", "workspace": "nowhere"}
    host = start(hosts, machine, MITORCH_CLUSTERS=json.dumps([CLUSTER, lost]))
    training = machine.ok("submit", "training.json")
    told = host.wait_for_pass(lambda told: told["launched"])
    assert (told["clusters_down"], told["failures"]) == (["lost"], 1)
    assert "lost" in host.events("failure")[0]["text"]
    assert azure.run(f"mt-{training}-a1")["status"]


def test_two_apps_on_one_database_launch_each_training_once(
    azure: Emulator, machine: Machine, hosts: ExitStack
) -> None:
    """Runs passes that overlap because the host's own lock does not apply."""
    many = "".join(f"{json.dumps(TINY_TRAINING)}\n" for _ in range(10))
    machine.ok("submit", "--many", machine.write("many.jsonl", many))
    apps = [start(hosts, machine, f"{number}.json") for number in range(2)]
    for app in apps:  # each has made a pass that saw all of them launched
        app.wait_for_pass(lambda told: told["active"] == 10)
    rows = json.loads(machine.ok("query", "--json"))["trainings"]
    assert [row["attempt"] for row in rows] == [1] * 10
    wanted = sorted(f"mt-{row['_id']}-a1" for row in rows)
    assert sorted(run["runId"] for run in azure.runs() if run["runId"] in wanted) == wanted


@pytest.mark.long
def test_a_pass_stops_itself_before_the_hosts_limit_and_the_next_goes_on(
    azure: Emulator, machine: Machine, hosts: ExitStack
) -> None:
    """A slow cluster takes what an earlier, killed pass had claimed; by then time is up for the rest of the queue."""
    limit, usable = 24, 16.8
    many = "".join(f"{json.dumps(TINY_TRAINING)}\n" for _ in range(8))
    machine.ok("submit", "--many", machine.write("many.jsonl", many))
    store = open_store(read_settings(machine.environment | {"MITORCH_HOME": str(machine.home)}), create=True)
    rows = store.queue.queue_head(8).items
    store.queue.claim_trainings([(row.id, an_attempt(row, cluster=COMPUTE)) for row in rows[:3]])
    store.close()
    slow = azure.faults.delay(usable, operation="job.create")
    host = start(hosts, machine, AzureFunctionsJobHost__functionTimeout=f"00:00:{limit}")
    first, second = host.wait_for_pass(), host.wait_for_pass()
    assert azure.faults.hits(slow) == 1
    assert (first["complete"], first["launched"], first["failures"]) == (False, 3, 0)
    assert usable < first["seconds"] < limit
    assert (second["complete"], second["launched"], second["active"]) == (True, 5, 3)
    ends = [line for line in host.lines if line["host"] == "ends" and line["function"] == "micontrol"]
    assert ends[0]["ok"]
    assert not [line for line in host.lines if line["host"] == "timed out"]
    names = {f"mt-{row.id}-a1" for row in rows}
    submitted = [r["path"] for r in azure.traffic() if r["operation"] == "job.create" and r["status"] == 201]
    assert [sum(name in path for path in submitted) for name in names] == [1] * 8
    assert names <= {run["runId"] for run in azure.runs()}


def test_the_app_sends_what_waits_for_its_webhooks(machine: Machine, hosts: ExitStack) -> None:
    at = later(0)
    event = Event(id=event_id(at, "a"), kind=EventKind.JOB_FAILED, at=at, subject="job 1", text="failed")
    store = open_store(read_settings(machine.environment | {"MITORCH_HOME": str(machine.home)}), create=True)
    store.prepare()
    store.notifications.record_events([(event, ["slack"])], datetime.now(UTC))
    store.close()
    with receiving() as receiver:
        hooks = json.dumps([{"kind": "slack", "url": f"http://127.0.0.1:{receiver.port}/a-secret-path-of-slack"}])
        host = start(hosts, machine, MITORCH_WEBHOOKS=hooks)
        host.wait_for_pass()
    assert [one.json()["text"] for one in receiver.received] == ["job 1 failed"]
    assert "a-secret-path-of-slack" not in host.printed()


def test_health_asks_for_a_key(machine: Machine, hosts: ExitStack) -> None:
    host = start(hosts, machine, MITORCH_SCHEDULE=NEVER)
    assert host.get("/api/health", key=None)[0] == 401
    assert host.get("/api/health", key="guessed")[0] == 401
    assert re.search('"last_pass": null', host.get("/api/health")[1])

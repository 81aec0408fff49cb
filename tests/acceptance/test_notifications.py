"""Real commands with webhooks: what ended is told once, and a receiver that is away holds up nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Machine
from tests.webhook_receiver import SECRET, Receiver, receiving

TOKEN = "abcdefghijklmnopqrstuvwx"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def set_webhooks(machine: Machine, receiver: Receiver, path: str = TOKEN) -> None:
    url = f"http://127.0.0.1:{receiver.port}/{path}"
    hooks = [{"name": "ops", "kind": "json", "url": url, "secret": SECRET}]
    machine.environment["MITORCH_WEBHOOKS"] = json.dumps(hooks)


def test_the_end_of_a_training_is_told_once(bare_machine: Machine, receiver: Receiver) -> None:
    set_webhooks(bare_machine, receiver)
    config = {"script": {"command": ["bash", "-c", "echo $MITORCH_WEBHOOKS$MITORCH_WEBHOOK_SECRET; exit 3"]}}
    training = bare_machine.ok("submit", bare_machine.write("training.json", config), "--name", "<first>")
    out = bare_machine.ok("control", "run", "--every", "0.2", "--until-idle")
    bare_machine.ok("control")
    assert "webhook ops: 1 notification sent" in out
    (one,) = receiver.received
    told = one.json()
    assert (told["type"], told["data"]["name"]) == ("training.failed", "<first>")
    assert told["data"]["facts"]["training"] == training
    log = bare_machine.ok("control", "logs", training)
    assert TOKEN not in log and SECRET not in log
    (status,) = json.loads(bare_machine.ok("control", "status", "--json"))["webhooks"]
    assert (status["waiting"], status["given_up"], status["problem"]) == (0, 0, None)
    assert status["sent_at"] is not None


def test_a_receiver_that_is_away_is_told_of_and_tried_again(bare_machine: Machine, receiver: Receiver) -> None:
    set_webhooks(bare_machine, receiver)
    receiver.status = 503
    config = {"script": {"command": ["false"]}}
    bare_machine.ok("submit", bare_machine.write("training.json", config))
    bare_machine.run("control", "run", "--every", "0.2", "--until-idle")
    status = bare_machine.ok("control", "status")
    assert "fails since" in status and "(HTTP 503: ok); retrying at" in status and "1 waiting" in status
    doctor = bare_machine.run("doctor")
    assert doctor.code == 1 and "FAIL  webhook ops: fails since" in doctor.out
    assert TOKEN not in status + doctor.out
    receiver.status = 200
    assert bare_machine.ok("control", "test-webhooks", "ops") == "ops (json, 127.0.0.1): ok"


def test_a_setting_that_is_wrong_is_named_by_every_command(bare_machine: Machine, receiver: Receiver) -> None:
    answer = bare_machine.run("control", "test-webhooks")
    assert answer.code == 2 and "MITORCH_WEBHOOKS: is not set" in answer.err
    bare_machine.environment["MITORCH_WEBHOOKS"] = f"ftp://a.example/{TOKEN}"
    for command in (("control",), ("query",), ("control", "test-webhooks")):
        answer = bare_machine.run(*command)
        assert answer.code == 2 and answer.err.startswith("Error: MITORCH_WEBHOOKS: ")
        assert TOKEN not in answer.err
    set_webhooks(bare_machine, receiver)
    receiver.status, receiver.text = 404, "no_service"
    answer = bare_machine.run("control", "test-webhooks")
    assert (answer.code, answer.err) == (1, "ops (json, 127.0.0.1): HTTP 404: no_service\n")
    answer = bare_machine.run("control", "test-webhooks", "opps")
    assert answer.code == 1 and "There is no webhook 'opps'. MITORCH_WEBHOOKS has ops." in answer.err

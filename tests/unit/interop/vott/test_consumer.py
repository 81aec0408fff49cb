"""A message becomes one training, whatever happens to the consumer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mitorch_service.errors import StoreUnavailable
from mitorch_service.interop.vott.web.addresses import AllowedAddresses
from mitorch_service.interop.vott.web.exchange import Web
from tests.fakes import HookedStore
from tests.unit.interop.vott.conftest import Bench, annotated_sets
from tests.vott_host import Host, _Held


class Killed(BaseException):
    """The end of the process, which no handler of errors sees."""


def a_message(host: Host, **values: Any) -> dict[str, Any]:
    """The message of VoTT-train's description, with two images."""
    first, second = host.add_image("a.png", 1), host.add_image("b.png", 2)
    annotations = host.add("boxes.csv", f"{first},1,1,60,40,cat\n{second},2,2,50,40,cat\n{first},40,30,60,44,dog\n")
    addresses = {"annotations": annotations, "model": host.url("c/model.tgz"), "status": host.url("status")}
    return {"plugin_name": "retinanet", **addresses, **values}


def test_the_message_of_the_description(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host, epochs=7, tags=["team=a"], name="mine", priority=5))
    id = bench.id_of()
    assert bench.consumer.take() == 1 and bench.queue.letters == {}
    (training,) = bench.trainings
    assert training.id == id and training.max_epochs == 7 and training.reports_steps
    assert (training.name, training.priority, training.tags) == ("mine", 5, ["source=vott", "team=a"])
    assert training.config["model"]["name"] == "resnet50-fpn_v2-retinanet"
    callback = bench.store.callbacks.find_callback(id)
    assert callback is not None and callback.model_url == host.url("c/model.tgz")
    assert callback.status_url == host.url("status") and "memory/training, message m1" in callback.source
    assert bench.lines[0] == f"message m1: training {id} queued"


def test_epochs_of_so_many_steps(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host, epochs=3, steps=10))
    bench.consumer.take()
    (training,) = bench.trainings
    assert (training.config["max_steps"], training.config["eval_every"]) == (30, 10)
    assert "max_epochs" not in training.config


@pytest.mark.parametrize("wrapped", [json.dumps, lambda value: base64.b64encode(json.dumps(value).encode()).decode()])
def test_json_and_base64(bench: Bench, host: Host, wrapped: Callable[[Any], str]) -> None:
    bench.queue.send(wrapped(a_message(host)).encode())
    bench.consumer.take()
    assert len(bench.trainings) == 1


def test_the_message_of_vott_web(bench: Bench, host: Host) -> None:
    annotations = a_message(host)["annotations"]
    bench.queue.send({"projectId": "p1", "requestId": "r1", "url": annotations})
    bench.consumer.take()
    (training,) = bench.trainings
    assert training.tags == ["source=vott", "project=p1", "request=r1"] and not training.reports_steps
    assert training.config["model"]["name"] == "resnet50-fpn_v2-retinanet"
    assert bench.store.callbacks.count_callbacks() == 0


def test_a_message_twice_is_one_training_and_another_content_another_one(bench: Bench, host: Host) -> None:
    message = a_message(host)
    for _ in range(2):
        bench.queue.send(message)
        bench.consumer.take()
    assert len(bench.trainings) == 1 and "is queued already" in bench.lines[-1]
    bench.queue.send({**message, "epochs": 3})  # a producer that numbers its messages from 1 again
    bench.consumer.take()
    assert len(bench.trainings) == 2


STEPS = 13  # one more than there are


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_before_and_after_each_step_nothing_is_lost_or_twice(
    bench: Bench, host: Host, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.queue.send(a_message(host))
    id = bench.id_of()
    count = 0

    def die(name: str) -> None:
        nonlocal count
        count += 1
        if count == step + 1:
            raise Killed(name)

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            die("before")
            result = call(*arguments, **options)
            die("after")
            return result

        return called

    acceptance = bench.consumer.acceptance
    store = HookedStore(acceptance.store, lambda verb: None)
    with monkeypatch.context() as patch:
        for place, name in ((Web, "get"), (_Held, "_complete"), (type(store.callbacks), "add_callback")):
            patch.setattr(place, name, around(getattr(place, name)))
        patch.setattr(type(store.queue), "add_trainings", around(type(store.queue).add_trainings))
        try:
            bench.consumer.take()
        except Killed:
            pass
        else:
            assert count <= step and not bench.queue.letters  # there were fewer steps
    bench.queue.end_leases()
    bench.consumer.take()
    assert [training.id for training in bench.trainings] == [id]
    assert bench.store.callbacks.count_callbacks() == 1
    assert bench.queue.letters == {} and bench.queue.rejected == []
    assert all(host.gets[path] <= 2 for path in ("/a.png", "/b.png"))
    made = [path.name for path in (bench.folder / "sets").iterdir() if not path.name.startswith(".")]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"hello", "is not JSON: it begins with 'hello'"),
        (b"[1]", "is a list, not an object"),
        (b"x" * 100_001, "has 100,001 bytes; at most 100,000 are read"),
        (b"[" * 65_000, "is not JSON"),
        (b'{"plugin_name": "retinanet", "epochs": NaN}', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"{}", "annotations: is required"),
        (b'{"plugin_name": 5}', "plugin_name: must be the name of a plugin"),
        (b'{"plugin_name": "retinnet"}', "did you mean 'retinanet'?"),
        (b'{"plugin_name": "../../etc"}', "'../../etc' is not known"),
        (b'{"plugin": "a", "plugin_name": "b"}', "write one of them"),
        (b'{"annotations": "file:///etc/passwd"}', "annotations: begins with file:"),
        (b'{"annotations": "https://u:p@host/x.csv"}', "names a user or a password"),
        (b'{"annotations": 7, "status": []}', "annotations: must be the text of an address (it is a number)"),
        (b'{"annotations": "https://h/x.csv", "plugin_url": "https://h/p.py"}', "code is not fetched"),
        (b'{"annotations": "https://h/x.csv", "name": "' + b"n" * 201 + b'"}', "  name: nnnnnnnn"),
        (b'{"annotations": "https://h/x.csv", "dataset": "a b/c"}', "  dataset: must begin with a letter or digit"),
        (b'{"annotations": "https://h/x.csv", "steps": 0}', "1 problem\n  steps: must be a whole number, 1 or more"),
        (
            b'{"annotations": "https://h/x.csv", "epoch": 7, "batch_size": "big"}',
            "the message: 2 problems\n  epoch: is not known; did you mean 'epochs'?\n  batch_size: ",
        ),
        (b'{"annotations": "https://h/x.csv", "epoch": 7}', "epoch: is not known; did you mean 'epochs'?"),
        (b'{"annotations": "https://h/x.csv", "epochs": "many"}', "  epochs: must be"),
        (b'{"annotations": "https://h/x.csv", "epochs": -1}', "  epochs: must be"),
        (b'{"annotations": "https://h/x.csv", "config": {"modell": {}}}', "did you mean 'model'?"),
        (
            b'{"annotations": "https://h/x.csv", "config": {"script": {"command": "sh -c id"}, "model": null}}',
            "config.script: is no key of a training config",
        ),
        (b'{"annotations": "https://h/x.csv", "config": {"job_type": "search"}}', "config.job_type: is no key"),
        (b'{"annotations": "https://h/x.csv", "config": {"model": {"name": {"_choice": ["a"]}}}}', "search-space"),
        (b'{"annotations": "https://h/x.csv", "box_format": "xy"}', 'must be "corners"'),
        (b'{"annotations": "https://h/x.csv", "tags": [1]}', "tags: must be a list of texts"),
        (b'{"annotations": "https://h/x.csv", "tags": ["x"]}', "tags: x: write KEY=VALUE"),
        (b'{"annotations": "https://h/x.csv", "priority": true}', "priority: must be a whole number"),
        (b'{"annotations": "https://h/x.csv", "priority": 3000000000}', "priority: must be a whole number from -2147"),
        (b'{"annotations": "https://h/x.csv", "priority": 1' + b"0" * 30 + b"}", "does not fit into a 64-bit integer"),
        (
            b'{"annotations": "https://h/x.csv", "config": {"label_smoothing": 1e999}}',
            "config.label_smoothing: does not",
        ),
        (b'{"annotations": "https://h/x.csv", "input_size": 1000000000}', "  input_size: must be 4096 or less (it is"),
        (b'{"annotations": "https://h/x.csv", "batch_size": 1000000000}', "  batch_size: must be 65536 or less"),
        (b'{"annotations": "https://h/x.csv", "epochs": 1000000000}', "  epochs: must be 100000 or less"),
        (
            b'{"annotations": "https://h/x.csv", "epochs": 7, "steps": 1000000000}',
            "max_steps: must be 1000000000 or less",
        ),
        (b'{"annotations": "https://h/x.csv", "learning_rate": 1e9}', "  learning_rate: must be 100 or less"),
        (
            b'{"annotations": "https://h/x.csv", "pretrained": "yes"}',
            "  pretrained: must be true or false, without quotes",
        ),
        (b'{"annotations": "https://h/x.csv", "model": "s3://B!/x"}', "cannot be the name of a bucket"),
        (b'{"annotations": "https://h/x.csv", "model": "ftp://h/x"}', "model: begins with ftp:"),
    ],
)
def test_what_can_never_work_is_put_aside_with_the_reason(bench: Bench, body: bytes, problem: str) -> None:
    bench.queue.send(body)
    bench.consumer.take()
    ((_, reason),) = bench.queue.rejected
    assert problem in reason and bench.trainings == [] and bench.queue.letters == {}


def test_a_rejection_is_told_to_the_status(bench: Bench, host: Host) -> None:
    bench.queue.send({"plugin_name": "nothing", "status": host.url("status")})
    bench.consumer.take()
    (callback,) = bench.store.callbacks.due_callbacks(bench.store.now(), 9)
    bench.delivery.deliver(callback)
    (post,) = host.posts["/status"]
    assert post["progress"] == 0.0 and "'nothing' is not known" in post["error"]
    assert bench.store.callbacks.count_callbacks() == 0


def test_private_addresses_are_refused_before_anything_is_downloaded(bench: Bench, host: Host) -> None:
    strict = annotated_sets(bench.folder, Web(AllowedAddresses()))
    consumer = replace(bench.consumer, acceptance=replace(bench.consumer.acceptance, sets=strict))
    bench.queue.send(a_message(host))
    consumer.take()
    ((_, reason),) = bench.queue.rejected
    assert "127.0.0.1 is not an address of the internet" in reason and "MITORCH_VOTT_NETWORKS" in reason
    assert not host.gets


def test_a_status_or_model_at_a_private_address_is_refused_at_once(bench: Bench, host: Host) -> None:
    for key in ("status", "model"):
        bench.queue.send(a_message(host, **{key: "https://169.254.169.254/latest"}), key)
        bench.consumer.take()
    assert ["169.254.169.254" in reason for _, reason in bench.queue.rejected] == [True, True]
    assert bench.trainings == [] and not host.gets


def test_an_address_that_does_not_answer_is_tried_again_and_then_put_aside(bench: Bench, host: Host) -> None:
    host.statuses["/boxes.csv"] = 503
    bench.queue.send(a_message(host))
    for _ in range(5):
        bench.consumer.take()
        bench.queue.end_leases()
    assert bench.queue.delays == [30.0, 60.0, 120.0, 240.0]
    ((_, reason),) = bench.queue.rejected
    assert "HTTP 503" in reason and "(5 tries)" in reason


def test_trouble_of_ours_counts_against_no_message(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host))
    left = 3

    def away(verb: str) -> None:
        nonlocal left
        if verb == "find" and left:
            left -= 1
            raise StoreUnavailable("here", "is away", "Wait.")

    acceptance = replace(bench.consumer.acceptance, store=HookedStore(bench.store, away))
    replace(bench.consumer, acceptance=acceptance).take()
    assert len(bench.trainings) == 1 and bench.queue.rejected == [] and left == 0
    assert bench.lines[0].startswith("message m1: Database here: is away")


def test_a_message_that_ends_its_consumers_is_put_aside(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host))
    bench.queue.letters["m1"].deliveries = 10
    bench.consumer.take()
    assert "was taken 11 times" in bench.queue.rejected[0][1] and bench.trainings == []


def test_a_fault_of_ours_loses_nothing(bench: Bench, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.queue.send(a_message(host))
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.consumer.acceptance), "accept", lambda *_: 1 / 0)
        bench.consumer.take()
    assert "ZeroDivisionError" in "".join(bench.lines) and bench.queue.rejected == []
    bench.queue.end_leases()
    bench.consumer.take()
    assert len(bench.trainings) == 1


def test_the_lease_is_renewed_while_images_come_and_never_behind_the_end(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host))
    consumer = replace(bench.consumer, renew_every=0.002)
    accept = consumer.acceptance.accept

    class Slow:
        def accept(self, *arguments: Any) -> Any:
            bench.consumer.stop.wait(0.05)
            return accept(*arguments)

    replace(consumer, acceptance=Slow()).take()  # type: ignore[arg-type]
    renewals = bench.queue.renewals
    assert renewals >= 2 and bench.queue.letters == {}
    bench.consumer.stop.wait(0.02)
    assert bench.queue.renewals == renewals


def test_a_lease_that_was_lost_does_no_harm(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host))
    (held,) = bench.queue.receive()
    bench.queue.end_leases()
    bench.consumer.take()  # another consumer has it meanwhile
    bench.consumer._settle(held)
    assert len(bench.trainings) == 1 and bench.lines[-1] == "message m1: another consumer has it"


def test_stopping_gives_the_message_back(bench: Bench, host: Host) -> None:
    bench.queue.send(a_message(host))
    bench.consumer.stop.set()
    bench.consumer.take()
    assert bench.queue.delays == [0] and bench.queue.letters["m1"].held == 0 and bench.trainings == []


def test_a_plugin_of_the_users(bench: Bench, host: Host) -> None:
    folder = bench.folder / "plugins" / "mine"
    folder.mkdir()
    (folder / "plugin.py").write_text("print('trained')")
    secret = "https://host/status?sv=1&sig=verysecretsignature"
    bench.queue.send({"plugin": "mine", "epochs": 4, "status": secret, "flag": True})
    bench.consumer.take()
    (training,) = bench.trainings
    command = training.config["script"]["command"]
    assert command == ["python3", "-m", "mitorch_service.interop.vott.run_plugin", "plugin.py"]
    assert training.max_epochs == 4 and training.config["parameters"]["status"] == "https://host/status"
    from mitorch_service.models.config.script import masked_config

    assert "verysecret" not in json.dumps(masked_config(training.config))
    assert bench.store.callbacks.count_callbacks() == 0  # the plugin calls the addresses itself

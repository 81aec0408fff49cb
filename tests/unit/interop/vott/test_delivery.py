"""Deliveries to the sender of a message: statuses in order, the last one always; the model where it was asked for."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import datetime, timedelta
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.interop.vott.outgoing.deliveries import Deliveries
from mitorch_service.interop.vott.outgoing.destination import OwnBlob, PutAddress, S3Object, parse_destination
from mitorch_service.interop.vott.outgoing.status_posts import Ending, status_posts
from mitorch_service.interop.vott.outgoing.storage_account import own_accounts
from mitorch_service.models.callback import Callback, due_at
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import StepProgress, Training, TrainingErrorInfo
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import primitives
from tests.samples import NOW, a_dataset, a_result, a_training, an_attempt
from tests.unit.interop.vott.conftest import Bench
from tests.vott_host import Host

NOW_ENDS = Ending()
FIELDS = ["progress", "epoch_current", "epoch_total", "step_current", "steps_per_epoch", "classification_loss"]


def posts(training: Training, callback: Callback, epochs: int, ending: Ending = NOW_ENDS) -> list[dict[str, Any]]:
    results = [a_result(epoch, train_loss=1 / epoch) for epoch in range(callback.posted_epoch + 1, epochs + 1)]
    return [dict(one.payload) for one in status_posts(training, callback, results, ending)]


def a_callback(**fields: Any) -> Callback:
    values = {"id": "1", "source": "q", "created_at": NOW, "due": due_at(NOW), "status_url": "https://h/s"}
    return Callback(**{**values, **fields})


def running(step: int, epoch: int = 3) -> Training:
    progress = StepProgress(attempt=1, epoch=epoch, step=step, steps=10, loss=0.25)
    return a_training(status=TrainingStatus.RUNNING, attempt=1, max_epochs=4, step=progress, reports_steps=True)


def test_each_epoch_and_the_step_are_posted_with_the_fields_of_the_description() -> None:
    found = posts(running(5), a_callback(), 2)
    assert [list(one) for one in found] == [FIELDS] * 3
    assert [tuple(one.values()) for one in found] == [
        (0.25, 1, 4, 10, 10, 1.0),
        (0.5, 2, 4, 10, 10, 0.5),
        (0.625, 3, 4, 5, 10, 0.25),
    ]


def test_nothing_is_posted_twice_and_nothing_goes_back() -> None:
    assert posts(running(5), a_callback(posted_epoch=2, posted_step=5), 2) == []
    assert len(posts(running(6), a_callback(posted_epoch=2, posted_step=5), 2)) == 1
    assert posts(running(5), a_callback(posted_epoch=3), 2) == []  # the next attempt begins anew
    stale = running(5).model_copy(update={"attempt": 2})
    assert posts(stale, a_callback(posted_epoch=2), 2) == []
    assert posts(running(10), a_callback(posted_epoch=2), 2) == []  # the epoch's end is posted after its validation


def test_a_progress_of_1_is_posted_at_the_end_only() -> None:
    last = running(10, epoch=4)
    assert posts(last, a_callback(posted_epoch=3), 4) == []
    done = last.model_copy(update={"status": TrainingStatus.COMPLETED})
    assert [one["progress"] for one in posts(done, a_callback(posted_epoch=2), 4)] == [0.75, 1.0]
    assert posts(done, a_callback(posted_epoch=3), 4, Ending(waits=True)) == []
    (told,) = posts(done, a_callback(posted_epoch=3), 4, Ending(trouble="HTTP 403"))
    assert told["progress"] == 0.99 and told["error"] == "the model could not be stored: HTTP 403"


def test_a_training_by_steps_has_as_many_epochs_as_validations() -> None:
    by_steps = running(5).model_copy(update={"max_epochs": 0, "max_steps": 35})
    found = posts(by_steps, a_callback(posted_epoch=2), 2)
    assert [(one["progress"], one["epoch_total"], one["steps_per_epoch"]) for one in found] == [(0.625, 4, 10)]


def test_the_loss_of_the_classes_is_told_where_it_is_known() -> None:
    result = a_result(1, train_loss=2.0, losses={"classifier": 0.5, "box_reg": 1.5})
    (post,) = status_posts(running(0, 2), a_callback(), [result], NOW_ENDS)
    assert post.payload["classification_loss"] == 0.5


def test_an_end_that_is_none_says_why() -> None:
    attempt = an_attempt(a_training()).model_copy(update={"reason": "CUDA out of memory"})
    failed = running(5).model_copy(update={"status": TrainingStatus.FAILED, "attempts": [attempt]})
    (told,) = posts(failed, a_callback(posted_epoch=2), 2)
    assert (told["progress"], told["epoch_current"], told["error"]) == (0.5, 2, "failed: CUDA out of memory")
    (told,) = posts(failed, a_callback(), 0)
    assert (told["progress"], told["epoch_current"], told["step_current"]) == (0.0, 0, 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://a.blob.core.windows.net/c?sv=1&sr=c&sig=x", "https://a.blob.core.windows.net/c/model.tgz"),
        ("https://a.blob.core.windows.net/c/m.tgz?sv=1&sr=c&sig=x", "https://a.blob.core.windows.net/c/m.tgz"),
        ("https://a.blob.core.windows.net/c/m?sv=1&sr=b&sig=x", "https://a.blob.core.windows.net/c/m"),
        ("https://host/upload/", "https://host/upload/model.tgz"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=x", "https://b.s3.amazonaws.com/k"),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a/m.tgz", "s3://bucket/a/m.tgz"),
        ("https://s3.eu-west-1.amazonaws.com/bucket/folder", "s3://bucket/folder/model.tgz"),
        ("s3://bucket", "s3://bucket/model.tgz"),
        ("s3://bucket/a/b/", "s3://bucket/a/b/model.tgz"),
    ],
)
def test_where_a_model_goes(text: str, found: str) -> None:
    target = parse_destination(text)
    assert str(target) == found and isinstance(target, S3Object) == found.startswith("s3:")
    assert not isinstance(target, PutAddress) or target.is_blob == ("sv=1" in text)


OWN = own_accounts("DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=a2V5", "AccountName=nokey", None, "/a")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://mine.blob.core.windows.net/models", "https://mine.blob.core.windows.net/models/model.tgz"),
        ("http://MINE.blob.core.windows.net/models/a%20b/", "https://mine.blob.core.windows.net/models/a b/model.tgz"),
        ("https://mine.blob.core.windows.net/models/a.tgz", "https://mine.blob.core.windows.net/models/a.tgz"),
    ],
)
def test_a_model_in_an_own_account_needs_no_sas(text: str, found: str) -> None:
    target = parse_destination(text, OWN)
    assert isinstance(target, OwnBlob) and str(target) == found and "a2V5" not in repr(target)
    assert isinstance(parse_destination(f"{text}?sv=1&sig=x", OWN), PutAddress)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://other.blob.core.windows.net/models", "other.blob.core.windows.net/models: has no SAS, and is in no"),
        ("https://mine.blob.core.windows.net/", "'' cannot be the name of a container"),
        ("https://mine.blob.core.windows.net/$web/a.tgz", "'$web' cannot be the name of a container"),
        ("https://mine.blob.core.windows.net/models/a%00b/", "which has a control character"),
        ("https://mine.blob.core.windows.net/models/%1b%5b2J", "which has a control character"),
        ("https://mine.blob.core.windows.net/models/%2e%2e/other/a.tgz", "which has a part that ends with a dot"),
        ("https://mine.blob.core.windows.net/models/a%5Cb.tgz", "which has a backslash"),
        (f"https://mine.blob.core.windows.net/models/{'n' * 1020}", "which has 1030 characters; at most 1024"),
        ("https://other.blob.core.windows.net/models/a%0ab?sv=1&sig=hush", "which has a control character"),
        ("https://other.blob.core.windows.net/models/x./m?sv=1&sr=b&sig=hush", "which has a part that ends with a dot"),
        ("s3://bucket/a\nb", "no control character"),
        (f"s3://bucket/{'é' * 600}", "at most 1024 bytes"),
    ],
)
def test_a_blob_that_cannot_be_stored_is_refused_before_it_is_trained(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_destination(text, OWN)
    assert problem in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable() and "hush" not in str(caught.value)


class Asked:
    """A training that a message asked for, and its life."""

    def __init__(self, bench: Bench, host: Host, **fields: Any) -> None:
        self.bench, self.store = bench, bench.store
        self.training = a_training(max_epochs=3, reports_steps=True)
        self.store.queue.add_trainings([self.training])
        self.store.datasets.add_dataset(a_dataset())
        addresses = {"status_url": host.url("status"), "model_url": host.url("c/model.tgz?sv=1&sig=x"), **fields}
        self.store.callbacks.add_callback(a_callback(id=self.training.id, created_at=self.store.now(), **addresses))
        self.posts = host.posts.setdefault("/status", [])
        self.skipped = timedelta()

    def begin(self) -> None:
        id = self.training.id
        self.store.queue.claim_training(id, an_attempt(self.training))
        self.store.runs.start_training(id, 1, "w", NOW)

    def step(self, epoch: int, step: int) -> None:
        progress = StepProgress(attempt=1, epoch=epoch, step=step, steps=10, loss=0.5)
        self.store.runs.record_step(self.training.id, progress, NOW)

    def epochs(self, *epochs: int) -> None:
        for epoch in epochs:
            self.store.runs.record_epoch(self.training.id, 1, 3, a_result(epoch))

    def end(self, outcome: AttemptOutcome = AttemptOutcome.COMPLETED, **fields: Any) -> None:
        weights = self.bench.folder / "model.pth"
        weights.write_bytes(b"weights")
        self.bench.delivery._artifacts.put(f"{self.training.id}/model.pth", weights)
        end = RunEnd(outcome, evaluation={"mAP": 0.5}, **fields)
        self.store.runs.finish_training(self.training.id, 1, "w", NOW, end)

    def deliver(self, seconds: float = 3700) -> int:
        """Delivers what is due after some seconds; returns how many callbacks are left."""
        self.skipped += timedelta(seconds=seconds)
        now = datetime.now(NOW.tzinfo) + self.skipped
        database = primitives(self.store)
        database.now = lambda: now  # type: ignore[method-assign]
        for callback in self.store.callbacks.due_callbacks(now, 9):
            self.bench.delivery.deliver(callback)
        return self.store.callbacks.count_callbacks()

    def callback(self) -> Callback:
        found = self.store.callbacks.find_callback(self.training.id)
        assert found is not None
        return found


def test_a_training_from_its_beginning_to_its_end(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host)
    assert asked.deliver() == 1 and asked.posts == []
    asked.begin()
    asked.step(1, 4)
    asked.deliver()
    asked.deliver()
    asked.epochs(1, 2)
    asked.deliver()
    asked.epochs(3)
    asked.deliver()
    asked.end()
    assert asked.deliver() == 0
    told = [(one["epoch_current"], one["step_current"], one["progress"]) for one in asked.posts]
    assert told == [(1, 4, 0.133333), (1, 10, 0.333333), (2, 10, 0.666667), (3, 10, 1.0)]
    ((content, headers),) = host.puts["/c/model.tgz"]
    assert headers["x-ms-blob-type"] == "BlockBlob"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {name: tar.extractfile(name) for name in tar.getnames()}
        assert list(files) == ["model.pth", "classes.csv", "config.json", "metrics.json"]
        assert files["model.pth"].read() == b"weights"  # type: ignore[union-attr]
        assert json.load(files["metrics.json"]) == {"mAP": 0.5}  # type: ignore[arg-type]
    assert bench.lines == [f"training {asked.training.id[:8]}: the model is stored at {host.url('c/model.tgz')}"]


def test_a_receiver_that_is_away_gets_everything_later_in_order(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host, model_url=None)
    asked.begin()
    host.statuses["/status"] = 503
    for epoch in (1, 2, 3):
        asked.epochs(epoch)
        asked.deliver()
    asked.end()
    assert asked.deliver() == 1 and asked.posts == []
    assert "HTTP 503" in (asked.callback().problem or "") and asked.callback().tries == 4
    assert len(bench.lines) == 1  # the same problem is told once
    assert asked.deliver(0) == 1  # not due yet
    host.statuses.clear()
    assert asked.deliver() == 0
    assert [one["epoch_current"] for one in asked.posts] == [1, 2, 3]


def test_a_receiver_that_refuses_hears_the_next_one_and_the_last_until_it_takes_it(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host, model_url=None)
    asked.begin()
    host.statuses["/status"] = 400
    asked.epochs(1)
    asked.deliver()
    assert asked.callback().posted_epoch == 1
    asked.epochs(2)
    asked.end(AttemptOutcome.FAILED, error=TrainingErrorInfo(type="E", message="m"), reason="m")
    for _ in range(3):
        assert asked.deliver() == 1
    host.statuses.clear()
    assert asked.deliver() == 0
    assert [one.get("error") for one in asked.posts] == ["failed: m"]


def test_a_model_that_cannot_be_stored_is_told_and_tried_until_it_is(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host)
    asked.begin()
    asked.epochs(1, 2)
    third = a_result(3, losses={"classifier": 0.125, "box_reg": 1.5})
    asked.store.runs.record_epoch(asked.training.id, 1, 3, third)
    host.statuses["/c/model.tgz"] = 403
    asked.end()
    assert asked.deliver() == 1
    assert "HTTP 403" in asked.posts[-1]["error"] and asked.posts[-1]["progress"] == 0.99
    assert asked.posts[-1]["classification_loss"] == 0.125
    count = len(asked.posts)
    assert asked.deliver() == 1 and len(asked.posts) == count
    host.statuses.clear()
    assert asked.deliver() == 0
    assert asked.posts[-1]["progress"] == 1.0 and "error" not in asked.posts[-1]
    assert asked.posts[-1]["classification_loss"] == 0.125
    assert len(host.puts["/c/model.tgz"]) == 1


def test_the_end_waits_a_little_for_a_storage_that_is_away(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host)
    asked.begin()
    asked.epochs(3)
    host.statuses["/c/model.tgz"] = 500
    asked.end()
    for _ in range(5):
        asked.deliver()
        assert asked.posts == []
    asked.deliver()
    assert "HTTP 500" in asked.posts[-1]["error"]


def test_what_is_never_taken_is_given_up_after_a_month(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host, model_url=None)
    asked.begin()
    asked.end()
    host.statuses["/status"] = 404
    assert asked.deliver() == 1 and asked.deliver(29 * 86400) == 1
    assert asked.deliver(2 * 86400) == 0 and "given up after 30 days" in bench.lines[-1]


def test_a_long_backlog_comes_in_parts_and_the_end_last(
    bench: Bench, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitorch_service.interop.vott.outgoing.delivery._MOST_EPOCHS", 2)
    asked = Asked(bench, host, model_url=None)
    asked.begin()
    asked.epochs(1, 2, 3)
    asked.end()
    assert asked.deliver() == 1
    assert asked.deliver() == 0
    assert [(one["epoch_current"], one["progress"]) for one in asked.posts] == [(1, 0.333333), (2, 0.666667), (3, 1.0)]


def test_a_training_that_was_deleted_and_one_that_cannot_be_read(bench: Bench, host: Host) -> None:
    asked = Asked(bench, host)
    primitives(asked.store).remove("trainings", asked.training.id, {})
    assert asked.deliver() == 1 and asked.deliver(15 * 86400) == 0  # its consumer may have been killed before it
    primitives(asked.store).insert("trainings", [{"_id": "broken", "status": "running"}])
    asked.store.callbacks.add_callback(a_callback(id="broken", status_url=host.url("status")))
    assert asked.deliver() == 0 and "cannot be read" in asked.posts[-1]["error"]


class Killed(BaseException):
    """The end of the process."""


@pytest.mark.parametrize("step", range(8))
def test_killed_before_and_after_each_step_everything_arrives(
    bench: Bench, host: Host, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(bench, host)
    asked.begin()
    asked.epochs(1, 2, 3)
    asked.end()
    count = 0

    def killing(place: Any, name: str) -> None:
        call = getattr(place, name)

        def called(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            for _ in range(2):
                count += 1
                if count == step * 2 + 1:
                    raise Killed
            return call(*arguments, **options)

        patch.setattr(place, name, called)

    with monkeypatch.context() as patch:
        killing(type(bench.delivery._web), "send")
        killing(type(asked.store.callbacks), "record_callback")
        killing(type(asked.store.callbacks), "remove_callback")
        try:
            asked.deliver()
        except Killed:
            assert asked.store.callbacks.count_callbacks() == 1
    assert asked.deliver() == 0
    seen = [(one["epoch_current"], one["progress"]) for one in asked.posts]
    assert list(dict.fromkeys(seen)) == [(1, 0.333333), (2, 0.666667), (3, 1.0)] and len(seen) <= 4
    assert 1 <= len(host.puts["/c/model.tgz"]) <= 2


def test_a_receiver_that_hangs_delays_no_other(bench: Bench, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.interop.vott.outgoing.delivery._POST_SECONDS", 0.3)
    host.drips.add("/hangs")
    for id, path in (("a", "hangs"), ("b", "status")):
        callback = a_callback(id=id, status_url=host.url(path), rejected="why")
        bench.store.callbacks.add_callback(callback)
    with Deliveries(bench.store, bench.delivery, bench.lines.append) as deliveries:
        assert deliveries.begin_due() == 2 and deliveries.begin_due() == 0
        while not host.posts.get("/status"):
            pass
        assert bench.store.callbacks.find_callback("a") is not None
    callback = bench.store.callbacks.find_callback("a") or a_callback()
    assert "no answer in time" in (callback.problem or "")


def test_finishing_delivers_all_that_is_due(bench: Bench, host: Host) -> None:
    for number in range(12):
        bench.store.callbacks.add_callback(a_callback(id=str(number), status_url=host.url("status"), rejected="why"))
    with Deliveries(bench.store, bench.delivery, bench.lines.append) as deliveries:
        deliveries.finish_due()
    assert len(host.posts["/status"]) == 12 and bench.store.callbacks.count_callbacks() == 0


def test_a_fault_of_ours_ends_no_other_delivery(bench: Bench, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(bench.delivery), "deliver", lambda *_: 1 / 0)
    bench.store.callbacks.add_callback(a_callback(id="12345678-9"))
    with Deliveries(bench.store, bench.delivery, bench.lines.append) as deliveries:
        deliveries.begin_due()
    assert bench.lines == ["training 12345678: ZeroDivisionError: division by zero (a fault of ours)"]

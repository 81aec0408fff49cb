"""The Python client: on the database itself and over a viewer's API it returns the same and raises the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest

from mitorch_service.client.client import Client
from mitorch_service.client.local import LocalConnection
from mitorch_service.client.remote import RemoteConnection
from mitorch_service.client.results import Job, Training
from mitorch_service.errors import (
    AmbiguousId,
    InvalidInput,
    MiTorchError,
    NotAllowed,
    NotFound,
    ServerError,
    ServerUnavailable,
)
from mitorch_service.insights.details.training_details import TrainingDetails
from tests.demo_service import EPOCHS
from tests.fakes import primitives
from tests.samples import a_training
from tests.served import NOW, TOKEN, Served, listening, served

CONFIG = {"model": {"name": "resnet18"}, "dataset": "parts", "max_epochs": 2}
SECRET = "mongodb://me:pass-of-mine@host/"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service")) as made:
        training = a_training(name="<b>hostile</b>", config={"model": {"name": "x"}, "note": SECRET})
        made.store.queue.add_trainings([training])
        yield made


@pytest.fixture(scope="module")
def url(service: Served) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


@pytest.fixture(scope="module", params=["local", "remote"])
def client(request: pytest.FixtureRequest, service: Served) -> Client:
    if request.param == "local":
        return Client.over(LocalConnection(service.settings, lambda: NOW))
    return Client(request.getfixturevalue("url"), TOKEN)


def a_new_one(client: Client) -> str:
    return client.submit(CONFIG, name="of the contract", tags=["suite=client"]).id or ""


class TestClient:
    def test_a_training_comes_with_its_curve(self, client: Client, service: Served) -> None:
        id = service.training("completed")
        found = client.get(id[:13])
        assert isinstance(found, Training)
        assert (found.id, found.status, found.epoch, len(found.curve)) == (id, "completed", EPOCHS, EPOCHS)
        assert found.curve == client.curve(id)
        assert found.curve.values("top1_accuracy")[0][0] == 1
        assert found.has_ended and found.cost > 0 and found.attempts[0].outcome == "completed"

    def test_a_search_comes_with_its_best_trials(self, client: Client, service: Served) -> None:
        job = client.get("lr and model")
        assert isinstance(job, Job) and job.id == service.job and not job.has_ended
        values = [one.values[0] for one in job.leaderboard.trials]
        assert values == sorted(values, reverse=True) and job.best_value == values[0]
        assert client.leaderboard(job.id, limit=2).trials == job.leaderboard.trials[:2]

    def test_searches_are_listed(self, client: Client, service: Served) -> None:
        (job,) = client.jobs()
        assert (job.id, job.status, job.max_trials, job.counts["new"]) == (service.job, "running", 60, 1)
        assert client.jobs(name="lr and model") == [job] and client.jobs(name="other") == []
        with pytest.raises(InvalidInput, match="from 1 to 1000"):
            client.jobs(0)

    def test_a_query_is_that_of_miquery(self, client: Client, service: Served) -> None:
        table = client.query("status:completed", sort="-val_loss", columns=["name", "val_loss", "created"], limit=5)
        assert len(table) == 5 and set(table.records().__next__()) >= {"id", "name", "metric.val_loss", "created"}
        losses = [row["metric.val_loss"] for row in table.records()]
        assert losses == sorted(losses, reverse=True)
        everything = client.query(limit=2000)
        assert len(everything) == sum(service.store.trainings.count_trainings().values()) and everything.complete

    def test_what_is_submitted_can_be_changed_canceled_retried_and_deleted(self, client: Client) -> None:
        id = a_new_one(client)
        assert client.change(id, priority=7, note="mine", add_tags=["more=1"]).changed[0].id == id
        found = client.get(id)
        assert (found.priority, found.note, found.tags) == (7, "mine", ["suite=client", "more=1"])
        assert client.cancel(id).changed[0].is_final
        with pytest.raises(NotAllowed, match="It has ended"):
            client.cancel(id)
            client.change(id, priority=1)
        client.retry(id)
        client.cancel(id)
        client.delete(id)
        with pytest.raises(NotFound):
            client.get(id)

    def test_of_several_the_refusals_are_told(self, client: Client, service: Served) -> None:
        id, done = a_new_one(client), service.training("completed")
        changes = client.cancel(id, done)
        assert [one.id for one in changes.changed] == [id]
        assert [(one.id, one.kind) for one in changes.refused] == [(done, "NotAllowed")]
        client.delete(id)

    def test_an_explanation_queues_nothing(self, client: Client, service: Served) -> None:
        before = service.store.trainings.count_trainings()
        explained = client.explain(CONFIG)
        assert explained.id is None and "One training on parts:2" in str(explained) and explained.plan
        assert service.store.trainings.count_trainings() == before

    def test_a_file_is_submitted_like_an_object(self, client: Client, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text("dataset: parts\nmodel: {name: resnet18}\n")
        assert client.explain(file).dataset == "parts:2"
        with pytest.raises(InvalidInput, match="cannot be read"):
            client.submit(tmp_path / "nowhere.json")

    def test_waiting_ends_with_the_training(self, client: Client) -> None:
        id = a_new_one(client)
        assert client.wait(id, sleep=lambda _: client.cancel(id)).status == "canceled"
        client.retry(id)
        with pytest.raises(TimeoutError, match="within 5 s"):
            client.wait(id, timeout=5, every=2, sleep=lambda _: None)
        client.cancel(id)
        client.delete(id)

    def test_the_state_of_the_service(self, client: Client) -> None:
        status = client.status()
        assert status.controller.missing is None and status.counts["completed"] > 3
        assert [one.id for one in client.datasets()] == ["parts:2", "parts:1", "welds:1"]

    @pytest.mark.parametrize(
        ("call", "error", "words"),
        [
            (lambda c: c.get("nothing like it"), NotFound, "There is no training or job 'nothing like it'"),
            (lambda c: c.get(""), NotFound, "There is no"),
            (lambda c: c.get("\0"), NotFound, "There is no"),
            (lambda c: c.query("statu:failed"), InvalidInput, "did you mean 'status'"),
            (lambda c: c.query(columns=["no such"]), InvalidInput, "columns"),
            (lambda c: c.query(limit=0), InvalidInput, "1 or more"),
            (lambda c: c.submit({"model": {"name": "resnet18"}}), InvalidInput, "dataset: is required"),
            (lambda c: c.submit({**CONFIG, "max_epochs": -1}), InvalidInput, "max_epochs: must be"),
            (lambda c: c.submit(CONFIG, tags=["x"]), InvalidInput, "KEY=VALUE"),
            (lambda c: c.submit(CONFIG, dataset=":"), InvalidInput, "names no data set"),
            (lambda c: c.cancel(), InvalidInput, "names nothing"),
            (lambda c: c.change("lr and model"), InvalidInput, "is empty"),
        ],
    )
    def test_errors_are_those_of_the_commands(
        self, client: Client, call: Callable[[Client], object], error: type[MiTorchError], words: str
    ) -> None:
        with pytest.raises(error, match=words) as raised:
            call(client)
        assert type(raised.value) is error or issubclass(type(raised.value), InvalidInput)

    def test_a_beginning_that_fits_several_names_them(self, client: Client, service: Served) -> None:
        ids = [id for id, _ in service.store.trainings.ids_beginning("", 40, ("training",))]
        first = next(one for one in "0123456789abcdef" if sum(id[0] == one for id in ids) > 1)
        with pytest.raises(AmbiguousId, match="fits more than one"):
            client.get(first)

    def test_pandas_gets_frames_and_notebooks_escaped_html(self, client: Client, service: Served) -> None:
        frame = client.query("status:completed", columns=["val_loss", "created"]).to_pandas()
        assert str(frame["created"].dtype).startswith("datetime64") and frame["metric.val_loss"].dtype == float
        assert list(client.curve(service.training("completed")).to_pandas().index) == list(range(1, EPOCHS + 1))
        assert "param.model.name" in client.leaderboard(service.job).to_pandas().columns
        hostile = client.query("hostile", columns=["name"])
        for shown in (
            client.get(hostile.ids()[0]),
            hostile,
            client.get(service.job),
            client.get(service.training("failed")),
        ):
            html = shown._repr_html_()
            assert "<b>hostile" not in html and "<script" not in html and "http" not in html
        assert "<polyline" in client.get(service.training("completed"))._repr_html_()

    def test_credentials_are_masked(self, client: Client) -> None:
        (id,) = client.query("hostile").ids()
        assert client.get(id).config["note"] == "mongodb://me:***@host/"


def assert_same(service: Served, url: str) -> None:
    with Client.over(LocalConnection(service.settings, lambda: NOW)) as local, Client(url, TOKEN) as remote:
        for status in ("completed", "failed", "running", "diverged"):
            id = service.training(status)
            assert local.get(id) == remote.get(id)
        assert local.get(service.job) == remote.get(service.job)
        where, columns = "status:failed", ["created", "error", "tag"]
        assert local.query(where, columns=columns) == remote.query(where, columns=columns)
        assert local.explain(CONFIG) == remote.explain(CONFIG)


def test_both_return_the_same(service: Served, url: str) -> None:
    assert_same(service, url)


def test_both_return_the_same_on_mongodb(mongodb_uri: str, tmp_path: Path) -> None:
    name = f"mitorch_test_{uuid.uuid4().hex[:12]}"
    database = {"MITORCH_DB_URI": mongodb_uri, "MITORCH_DB_NAME": name}
    try:
        with served(tmp_path, database=database) as service, listening(service.app) as url:
            assert_same(service, url)
            client = Client(url, TOKEN)
            id = a_new_one(client)
            assert client.change(id, note="x").changed and client.cancel(id).changed[0].is_final
            assert client.query("suite=client").ids() == [id] and client.status().counts["new"] > 3
    finally:
        with pymongo.MongoClient[dict[str, object]](mongodb_uri) as server:
            server.drop_database(name)


def test_values_that_are_no_numbers_come_through(service: Served, url: str) -> None:
    id = service.training("diverged")
    record = {"_id": f"{id}:000099", "training_id": id, "attempt": 1, "epoch": 99, "train_loss": float("nan")}
    primitives(service.store).insert("training_results", [{**record, "val_loss": float("inf"), "finished_at": NOW}])
    last = Client(url, TOKEN).curve(id).epochs[-1]
    assert last.train_loss != last.train_loss and last.val_loss == float("inf")
    assert "<svg" in Client(url, TOKEN).get(id)._repr_html_()
    assert primitives(service.store).remove("training_results", record["_id"], {})


def test_a_wrong_token_and_a_server_that_is_none_are_told(url: str) -> None:
    with pytest.raises(ServerError, match=r"a token is needed\. Give the token that miviewer prints") as error:
        Client(url, "wrong-token-0123456789").datasets()
    assert "wrong-token" not in str(error.value)
    with pytest.raises(ServerUnavailable, match="does not answer"):
        Client("http://127.0.0.1:9", TOKEN).datasets()
    with pytest.raises(InvalidInput, match="must be http"):
        Client("127.0.0.1:8474")
    with pytest.raises(InvalidInput, match="give its url"):
        Client(token=TOKEN)
    assert Client(f"{url}/?token={TOKEN}").datasets()


class SometimesAway(RemoteConnection):
    """A server that is started anew while somebody waits."""

    away = 2  # looks

    def training(self, id: str) -> TrainingDetails:
        if self.away:
            self.away -= 1
            raise ServerUnavailable("there", "does not answer", "")
        return super().training(id)


def test_whoever_waits_goes_on_after_the_servers_restart(url: str) -> None:
    client = Client.over(SometimesAway(url, TOKEN))
    id = a_new_one(client)
    looks: list[float] = []
    client.cancel(id)
    assert client.wait(id, sleep=looks.append).status == "canceled" and looks == [2.0, 2.0]
    lost = SometimesAway(url, TOKEN)
    lost.away = 10**6
    with pytest.raises(ServerUnavailable):
        Client.over(lost).wait(id, sleep=looks.append)
    client.delete(id)

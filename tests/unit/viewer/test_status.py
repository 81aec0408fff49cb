"""The status page and its data: clusters from the background, what needs a person, failures and costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from mitorch_service.backends.base import Capacity
from mitorch_service.errors import BackendUnavailable
from mitorch_service.insights.failures import read_failures
from mitorch_service.stores.base import Store
from mitorch_service.viewer.live.refreshed import Reading, Refreshed
from tests.demo_service import fill
from tests.fakes import FakeBackend, ListingBackend, primitives
from tests.samples import NOW, a_training, an_attempt
from tests.served import served


def test_clusters_that_do_not_answer_hold_up_nobody(tmp_path: Path) -> None:
    hangs = threading.Event()

    class Hanging(FakeBackend):
        def capacity(self) -> Capacity:
            hangs.wait(30)
            return super().capacity()

    with served(tmp_path) as service:
        service.backends = {}
        service.app.state.context.open_backends = lambda: {"here": FakeBackend("here"), "away": Hanging("away")}
        try:
            answer = service.client().get("/api/status").json()
        finally:
            hangs.set()
        page = service.client().get("/status").text
    assert answer["clusters"]["here"]["free"] == 2
    assert answer["clusters"]["away"]["total"] is None and "not answered yet" in answer["clusters"]["away"]["error"]
    assert "DataError" in page and "truncated" in page and "accepts trainings" in page


def test_what_needs_a_person_is_told(tmp_path: Path) -> None:
    with served(tmp_path, trainings=0, trials=0) as service:
        backend = FakeBackend("gpu-west", slots=3)
        backend.submit(backend.prepare(a_training().id, 1))
        service.app.state.context.open_backends = lambda: {"gpu-west": backend}
        broken = {**a_training(name="<script>alert(1)</script>").to_document(), "tags": 5}
        primitives(service.store).insert("trainings", [broken])
        service.clock[0] += timedelta(hours=3)
        page = service.client().get("/status").text
        answer = service.client().get("/api/status").json()
    assert "No controller is at work" in page and "micontrol run" in page
    assert "1 of 3 nodes is busy" in page and "micontrol repair" in page and "<script>alert" not in page
    assert answer["clusters"]["gpu-west"]["unexplained"] == 1
    assert answer["unreadable"][0]["id"] == broken["_id"]
    assert "no controller has made a pass" in answer["controller"]["missing"]


def test_runs_that_no_training_knows_and_shares_are_told(tmp_path: Path) -> None:
    policy = {"MITORCH_PLACEMENT": '{"fair_share": {"by": "user"}}'}
    with served(tmp_path, trainings=0, trials=0, database=policy) as service:
        backend, training = ListingBackend("gpu-west"), a_training(submitted_by="amy")
        service.store.queue.add_trainings([training])
        backend.submit(backend.prepare(training.id, 1))
        backend.submit(backend.prepare(gone := a_training().id, 1))
        service.app.state.context.open_backends = lambda: {"gpu-west": backend}
        service.clock[0] += timedelta(hours=3)
        page = service.client().get("/status").text
        answer = service.client().get("/api/status").json()
    assert f"mt-{gone}-a1" in page and "no training knows it: this database has no such training" in page
    assert [(one["cluster"], one["ours"]) for one in answer["leaks"] if gone in one["run"]] == [("gpu-west", False)]
    assert answer["shares"] == [{"share": "amy", "weight": 1, "due": 1, "used": 0, "node_hours": 0, "nodes": 0}]


def test_trainings_without_a_run_are_told(tmp_path: Path) -> None:
    with served(tmp_path, trainings=0, trials=0) as service:
        service.store.queue.add_trainings([lost := a_training()])
        service.store.queue.claim_trainings([(lost.id, an_attempt(lost, cluster="gpu-west"))])
        service.app.state.context.open_backends = lambda: {"gpu-west": ListingBackend("gpu-west")}
        service.clock[0] += timedelta(hours=3)
        page = service.client().get("/status").text
        answer = service.client().get("/api/status").json()
    assert "Trainings without a run" in page and f"/trainings/{lost.id}" in page
    assert answer["without_run"] == [lost.id]


def test_failures_are_counted_by_kind_and_week(store: Store) -> None:
    fill(store, NOW, trainings=60)
    kinds = {one.kind: one for one in read_failures(store, NOW).kinds}
    assert set(kinds) == {"DataError", "diverged"}
    assert "truncated" in kinds["DataError"].message
    later = read_failures(store, NOW + timedelta(days=8))
    assert {one.kind: one.last_week for one in later.kinds} == {"DataError": 0, "diverged": 0}
    assert not read_failures(store, NOW + timedelta(days=32)).kinds


def test_a_value_is_found_again_when_it_is_old_and_errors_keep_the_last() -> None:
    time = [0.0]
    values: Iterator[int | BackendUnavailable] = iter([1, BackendUnavailable("x", "is away", "Wait."), 3])

    def find() -> int:
        value = next(values)
        if isinstance(value, BackendUnavailable):
            raise value
        return value

    one = Refreshed(find, 10, lambda: time[0])

    def settled() -> Reading[int]:
        one.read(5)
        while one._under_way is not None:
            one._under_way.wait(5)
        return one.read(5)

    assert (settled().value, settled().error) == (1, None)
    time[0] = 11
    stale = settled()
    assert stale.value == 1 and "is away" in (stale.error or "") and stale.age == 11
    time[0] = 22
    assert settled().value == 3 and settled().error is None


def test_the_search_box_leads_to_what_is_meant(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        client = service.client()
        id = service.training("completed")

        def target(text: str) -> str:
            return client.get("/find", params={"q": text}, follow_redirects=False).headers["location"]

        assert target(id[:9]) == f"/trainings/{id}"
        assert target(service.job[:9]) == f"/jobs/{service.job}"
        assert target("lr and model") == f"/jobs/{service.job}"
        assert target("status:failed") == "/trainings?q=status%3Afailed"
        assert target("nothing like it") == "/trainings?q=nothing+like+it"
        assert target("//evil.example/") == "/trainings?q=%2F%2Fevil.example%2F"
        assert target("\0") == "/trainings?q=%00"
        assert target("") == "/trainings"

"""Whole passes on several clusters: what a pass looks at, where trainings go, what is recorded of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.models.dataset import DatasetSplit
from mitorch_service.models.training import Resources, run_name
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, HookedDatabase, HookedStore, primitives
from tests.samples import NOW, a_dataset, a_training


def azure(name: str, **fields: Any) -> AzureMLCluster:
    """A cluster of the settings."""
    return AzureMLCluster(kind="azureml", name=name, subscription_id="s", resource_group="g", workspace="w", **fields)


def queued(store: Store, number: int = 1, **fields: Any) -> list[str]:
    """So many trainings in the queue; returns their ids."""
    trainings = [a_training(**fields) for _ in range(number)]
    store.queue.add_trainings(trainings)
    return [training.id for training in trainings]


def test_trainings_for_another_cluster_do_not_block_those_behind_them(store: Store) -> None:
    cpu, gpu = FakeBackend("cpu", slots=2), FakeBackend("gpu", slots=1)
    clusters = [azure("cpu", gpus=0), azure("gpu", gpus=4)]
    on_gpu = queued(store, 60, resources=Resources(gpus=1))
    anywhere = queued(store, 5)
    Controller(store, {"cpu": cpu, "gpu": gpu}, clusters).tick(NOW)
    assert gpu.running() == [run_name(on_gpu[0], 1)]
    assert cpu.running() == [run_name(id, 1) for id in anywhere[:2]]


def test_several_clusters_are_submitted_to_at_the_same_time(store: Store) -> None:
    meeting = threading.Barrier(2, timeout=10)

    class Meeting(FakeBackend):
        def submit(self, request: RunRequest) -> str | None:
            meeting.wait()
            return super().submit(request)

    backends = {"a": Meeting("a", slots=1), "b": Meeting("b", slots=1)}
    ids = queued(store, 2)
    report = Controller(store, backends).tick(NOW)
    assert [event.text for event in report.events if event.failed] == []
    assert sorted(backends["a"].running() + backends["b"].running()) == sorted(run_name(id, 1) for id in ids)
    assert all(store.trainings.get_training(id).attempts[0].submitted_at == NOW for id in ids)


@pytest.mark.parametrize(
    ("resources", "slots", "rows"), [(None, 2, 3), (Resources(gpus=1), 2, 3 + 300), (Resources(gpus=1), 0, 1)]
)
def test_a_pass_reads_more_of_the_queue_only_where_some_may_not_go_anywhere(
    store: Store, resources: Resources | None, slots: int, rows: int
) -> None:
    queued(store, 300, resources=resources)
    read = 0

    class Counting(HookedDatabase):
        def find(self, query: Any) -> Any:
            nonlocal read
            found = list(super().find(query))
            read += len(found) if query.where == {"status": "new"} and query.collection == "trainings" else 0
            return iter(found)

    backends: dict[str, Backend] = {"cpu": FakeBackend("cpu", slots=slots)}
    Controller(Store(Counting(primitives(store), lambda operation: None)), backends, [azure("cpu", gpus=0)]).tick(NOW)
    assert read == rows


def test_a_training_goes_where_its_data_lies(store: Store) -> None:
    url = "https://photos.blob.core.windows.net/c/train.txt"
    store.datasets.add_dataset(a_dataset().model_copy(update={"train": DatasetSplit(path=url)}))
    far, near = FakeBackend("far", slots=9), FakeBackend("near", slots=1)
    queued(store, 2)
    Controller(store, {"far": far, "near": near}, [azure("far"), azure("near", price=9, data=["photos"])]).tick(NOW)
    assert (len(near.running()), len(far.running())) == (1, 1)


def test_a_run_of_several_nodes_is_asked_for_as_one_and_its_price_is_recorded(store: Store) -> None:
    backend = FakeBackend("gpu", slots=4)
    (big,) = queued(store, resources=Resources(nodes=3, gpus=2))
    (small, _) = queued(store, 2)
    Controller(store, {"gpu": backend}, [azure("gpu", price=2.5)]).tick(NOW)
    assert backend.running() == [run_name(big, 1), run_name(small, 1)]
    assert backend.capacity().free == 0
    (attempt,) = store.trainings.get_training(big).attempts
    assert (attempt.nodes, attempt.price) == (3, 2.5)


def test_a_submission_that_failed_is_repeated_with_the_same_resources(store: Store) -> None:
    backend = FakeBackend("gpu", slots=4)
    (big,) = queued(store, resources=Resources(nodes=3))

    def fails_after_the_claim(operation: str) -> None:
        backend.down = backend.down or operation == "change"

    Controller(HookedStore(store, fails_after_the_claim), {"gpu": backend}, [azure("gpu")]).tick(NOW)
    backend.down = False
    Controller(store, {"gpu": backend}, [azure("gpu")]).tick(NOW)
    assert backend.nodes[run_name(big, 1)] == 3


def test_this_machine_is_no_place_for_several_nodes(store: Store) -> None:
    backend = FakeBackend("local", slots=4)
    queued(store, resources=Resources(nodes=2))
    (single,) = queued(store)
    Controller(store, {"local": backend}, [LocalCluster(name="local")]).tick(NOW)
    assert backend.running() == [run_name(single, 1)]


def test_a_training_whose_resources_cannot_be_read_is_put_aside(store: Store) -> None:
    primitives(store).insert("trainings", [{**a_training(priority=0).to_document(), "resources": {"gpus": "many"}}])
    (good,) = queued(store)
    backend = FakeBackend("gpu")
    report = Controller(store, {"gpu": backend}, [azure("gpu")]).tick(NOW)
    assert "its document cannot be read: resources.gpus" in "".join(event.text for event in report.events)
    assert backend.running() == [run_name(good, 1)]

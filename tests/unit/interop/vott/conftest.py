"""A consumer with a queue in memory, a store in memory, and a web server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.file_access import PRIVATE
from mitorch_service.interop.vott.acceptance import Acceptance
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet, AnnotatedSets, SetLimits
from mitorch_service.interop.vott.consumer import Consumer
from mitorch_service.interop.vott.message import training_id
from mitorch_service.interop.vott.outgoing.delivery import Delivery
from mitorch_service.interop.vott.plugins import Plugins
from mitorch_service.interop.vott.web.addresses import parse_networks
from mitorch_service.interop.vott.web.exchange import Web
from mitorch_service.interop.vott.web.image_store import ImageLimits, ImageStore
from mitorch_service.models.base import JsonObject
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import a_dataset
from tests.vott_host import Host, QueueInMemory, hosting

LOOPBACK = parse_networks("127.0.0.0/8")


@pytest.fixture(scope="session")
def served() -> Iterator[Host]:
    with hosting() as host:
        yield host


@pytest.fixture
def host(served: Host) -> Host:
    """A server that has forgotten what other tests did."""
    for part in ("files", "redirects", "statuses", "headers", "drips", "gets", "checks", "posts", "puts"):
        getattr(served, part).clear()
    return served


@pytest.fixture
def web() -> Web:
    return Web(LOOPBACK)


def image_store(folder: Path, web: Web, most: int = 1_000_000) -> ImageStore:
    """An image store below a folder."""
    return ImageStore(folder / "images", web, ImageLimits(most, 5.0), PRIVATE)


def annotated_sets(folder: Path, web: Web, **limits: Any) -> AnnotatedSets:
    """Makes data sets below a folder."""
    chosen = {"file_bytes": 1_000_000, "images": 1000, "total_bytes": 10_000_000, "seconds": 5.0, **limits}
    return AnnotatedSets(web, image_store(folder, web), folder / "sets", SetLimits(**chosen), PRIVATE)


@dataclass
class Bench:
    """All parts of a consumer."""

    folder: Path
    store: Store
    queue: QueueInMemory
    consumer: Consumer
    delivery: Delivery
    lines: list[str] = field(default_factory=list)

    @property
    def trainings(self) -> list[Training]:
        from mitorch_service.stores.verbs.trainings import TrainingFilter

        rows = self.store.trainings.list_trainings(TrainingFilter(), 100).items
        return [self.store.trainings.get_training(row.id) for row in rows]

    def id_of(self, message: str = "m1") -> str:
        return training_id(self.queue.name, message, self.queue.letters[message].body)


@pytest.fixture
def bench(tmp_path: Path, web: Web) -> Bench:
    store, queue, lines = SqliteStore(None), QueueInMemory(), list[str]()
    store.prepare()
    (tmp_path / "plugins").mkdir()

    def register(name: str | None, made: AnnotatedSet, facts: JsonObject) -> DatasetRef:
        ref = DatasetRef(name=name or f"vott-{made.digest}", version=1)
        if not store.datasets.read_versions([ref]).items:
            store.datasets.add_dataset(a_dataset(ref.name, 1).model_copy(update={"imported_from": facts}))
        return ref

    acceptance = Acceptance(
        queue=queue.name,
        store=store,
        sets=annotated_sets(tmp_path, web),
        plugins=Plugins([tmp_path / "plugins"]),
        register=register,
        build=_builder(store),
    )
    consumer = Consumer(queue, acceptance, lines.append, threading.Event(), 0.05, trouble_seconds=0.01)
    artifacts = FolderArtifactStore(tmp_path / "artifacts", PRIVATE)
    return Bench(tmp_path, store, queue, consumer, Delivery(store, artifacts, web, lines.append), lines)


def _builder(store: Store) -> Any:
    from functools import partial

    from mitorch_service.models.config.script import AnyConfig, CodeRecord
    from mitorch_service.submission.script_code import CodeKeeper
    from mitorch_service.submission.vott_trainings import build_training

    class Keeper(CodeKeeper):
        def __call__(self, config: AnyConfig | None, written: Mapping[str, Any]) -> list[Any]:
            return []

        def relative_to(self, folder: Path) -> CodeKeeper:
            return self

        def keep(self, source: str) -> CodeRecord:
            return CodeRecord(archive=f"code/{'0' * 64}.tar.gz", files=1, size=1, python="3.11")

    return partial(build_training, store, Keeper())

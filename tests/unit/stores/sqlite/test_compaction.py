"""Giving space back while another process writes."""

from __future__ import annotations

import threading
from pathlib import Path

from mitorch_service.file_access import FileAccess
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.requests import Compaction
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import a_training


def test_the_space_is_given_back_once_another_writer_is_done(tmp_path: Path) -> None:
    path = tmp_path / "mitorch.db"
    store = SqliteStore(path)
    trainings = [a_training(status=TrainingStatus.CANCELED, config={"note": "x" * 10_000}) for _ in range(300)]
    store.queue.add_trainings(trainings)
    for training in trainings:
        store.queue.delete_training(training.id)
    other = SqliteConnection(path, FileAccess())
    done: list[Compaction] = []
    compacting = threading.Thread(target=lambda: done.append(store.retention.compact(lambda: None)))
    with other.transaction():
        compacting.start()
        compacting.join(0.2)
        assert compacting.is_alive()
    compacting.join(10)
    assert done[0].freed > 2_000_000
    assert done[0].note is None
    other.close()
    store.close()

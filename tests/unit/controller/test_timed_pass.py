"""A pass within a limit of time: where it is cut off, what it tells, and what is remembered of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.timed_pass import last_pass, timed_pass
from mitorch_service.errors import ArtifactError, StoreUnavailable
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import run_name
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import a_job, a_training, later

MANY = 230  # three steps of submissions


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def clock() -> Callable[[], datetime]:
    """Each time it is asked, a second has gone."""
    seconds = count()
    return lambda: later(next(seconds))


def allow(steps: int) -> Callable[[], bool]:
    """Time is up after so many steps."""
    left = iter([True] * steps)
    return lambda: next(left, False)


def one_pass(
    store: Store, backend: FakeBackend, artifacts: FolderArtifactStore, in_time: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The lines that a pass has logged."""
    lines: list[dict[str, Any]] = []
    timed_pass(Controller(store, {"fake": backend}), artifacts, clock(), in_time, lines.append)
    return lines


def test_a_pass_that_is_out_of_time_leaves_the_rest_to_the_next(store: Store, artifacts: FolderArtifactStore) -> None:
    store.queue.add_trainings([a_training() for _ in range(MANY)])
    backend = FakeBackend(slots=MANY)
    told = [one_pass(store, backend, artifacts, allow(1))[-1] for _ in range(3)]
    assert [(line["launched"], line["complete"]) for line in told] == [(100, False), (100, False), (30, True)]
    assert set(backend.starts.values()) == {1}
    assert store.trainings.count_trainings() == {"queued": MANY}
    rows = store.queue.active_trainings().items
    assert all(row.attempts[0].submitted_at is not None for row in rows)  # no claim without its submission
    assert one_pass(store, backend, artifacts, allow(0))[-1]["complete"]  # nothing was left to do


def test_what_a_killed_pass_had_claimed_is_submitted_some_at_a_time(
    store: Store, artifacts: FolderArtifactStore
) -> None:
    store.queue.add_trainings([a_training() for _ in range(MANY)])
    backend = FakeBackend(slots=MANY)
    claims = 0

    def dies_after_the_claims(operation: str) -> None:
        nonlocal claims
        claims += operation == "change"
        if claims > 100:
            raise StoreUnavailable("here", "it is gone", "Wait.")

    with pytest.raises(StoreUnavailable):
        one_pass(HookedStore(store, dies_after_the_claims), backend, artifacts, allow(99))
    line = one_pass(store, backend, artifacts, allow(99))[-1]
    assert (line["complete"], len(backend.starts), set(backend.starts.values())) == (True, MANY, {1})


def test_a_pass_tells_what_it_has_done_and_is_remembered(store: Store, artifacts: FolderArtifactStore) -> None:
    assert last_pass(artifacts) is None
    backend = FakeBackend(slots=2)
    job = a_job()
    store.jobs.add_job(job)
    first = one_pass(store, backend, artifacts, allow(99))[-1]
    assert (first["event"], first["at"], first["seconds"]) == ("pass", later(0).isoformat(), 1.0)
    assert first["trials_added"] == 4
    lost = store.queue.active_trainings().items or []
    if not lost:  # trials are launched by the pass after the one that adds them
        one_pass(store, backend, artifacts, allow(99))
        lost = store.queue.active_trainings().items
    backend.end(run_name(lost[0].id, 1), RunState.KILLED, "it was killed by SIGKILL")
    line = one_pass(store, backend, artifacts, allow(99))[-1]
    assert (line["ended"], line["lost"], line["failed"], line["canceled"]) == (1, 1, 0, 0)
    assert last_pass(artifacts) == line


def test_failures_are_told_without_secrets_and_clusters_that_are_down_by_name(
    store: Store, artifacts: FolderArtifactStore
) -> None:
    primitives(store).insert("trainings", [{**a_training().to_document(), "priority": "mongodb://me:hunter2@host/"}])
    backend = FakeBackend()
    backend.down = True
    *failures, line = one_pass(store, backend, artifacts, allow(99))
    assert {failure["event"] for failure in failures} == {"failure"}
    assert (line["failures"], line["failed"], line["clusters_down"]) == (2, 1, ["fake"])
    assert "hunter2" not in json.dumps([failures, line])


def test_an_artifact_store_that_is_away_fails_no_pass(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = FolderArtifactStore(tmp_path / "file")
    store.queue.add_trainings([a_training()])
    failure, line = one_pass(store, FakeBackend(), broken, allow(99))
    assert "controller/last_pass.json" in failure["text"]
    assert line["launched"] == 1


def test_what_is_remembered_and_cannot_be_read_is_told(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"event": ')
    artifacts.put("controller/last_pass.json", tmp_path / "half.json")
    with pytest.raises(ArtifactError, match="is not JSON"):
        last_pass(artifacts)

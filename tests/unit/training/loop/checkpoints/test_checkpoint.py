"""The state of a training in an artifact store: whole, or not taken."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
import torch

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError
from mitorch_service.training.loop.checkpoints.checkpoint import (
    Checkpoints,
    State,
    in_main_memory,
    read_shared,
    read_state,
    write_state,
)
from mitorch_service.training.seeding import random_state, restore_random_state
from tests.samples import a_result


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path)


def a_state(epoch: int) -> State:
    """A whole state of a training after some epochs."""
    parts: State = {name: {} for name in ("learner", "plateau", "selection", "evaluation", "best_evaluation")}
    more = {"format": 2, "fingerprint": "f", "step": 0, "random": [], "progress": [], "lowered": 0, "note": None}
    history = [a_result(number + 1).model_dump_json() for number in range(epoch)]
    weights = torch.full((3,), float(epoch))
    return {**parts, **more, "epoch": epoch, "history": history, "best": None, "weights": weights}


def save(artifacts: FolderArtifactStore, *epochs: int) -> None:
    with Checkpoints(artifacts, "id/") as checkpoints:
        checkpoints.latest()
        for epoch in epochs:
            checkpoints.save(a_state(epoch))
            checkpoints.wait()


def latest(artifacts: FolderArtifactStore) -> int | None:
    state = Checkpoints(artifacts, "id/").latest()
    if state is None:
        return None
    assert state["weights"].tolist() == [state["epoch"]] * 3
    return int(state["epoch"])


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("id/checkpoint-*/state.pt"))


def test_the_last_two_are_kept_also_over_processes(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    assert latest(artifacts) is None
    save(artifacts, 1, 2, 3)
    assert latest(artifacts) == 3
    save(artifacts, 4)
    assert latest(artifacts) == 4
    assert [path.parent.name for path in files(tmp_path)] == ["checkpoint-000003", "checkpoint-000004"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of another kind"])
def test_a_damaged_one_falls_back_to_the_one_before(
    artifacts: FolderArtifactStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    save(artifacts, 1, 2)
    newest = files(tmp_path)[-1]
    whole = newest.read_bytes()
    flipped = whole[:500] + bytes([whole[500] ^ 1]) + whole[501:]
    newest.write_bytes({"cut": whole[:-9], "flipped": flipped, "empty": b"", "of another kind": b"x" * 99}[damage])
    assert latest(artifacts) == 1
    assert "checkpoint-000002/state.pt is damaged: it is skipped" in caplog.text
    save(artifacts, 7)
    assert latest(artifacts) == 7
    files(tmp_path)[-1].write_bytes(b"")
    assert latest(artifacts) == 1  # the damaged one has gone before it
    for path in files(tmp_path):
        path.write_bytes(b"")
    assert latest(artifacts) is None
    assert "every checkpoint is damaged: the training starts from its first epoch" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"learner": 3},
        {"epoch": "two"},
        {"epoch": -1},
        {"history": ["{}", "{}"]},
        {"history": [b"x", None]},
        {"history": []},
        {"format": None},
    ],
)
def test_a_state_of_the_right_digest_without_its_parts_is_skipped(
    artifacts: FolderArtifactStore, tmp_path: Path, change: State
) -> None:
    save(artifacts, 1, 2)
    write_state({**a_state(2), **change}, files(tmp_path)[-1])
    assert latest(artifacts) == 1
    shared = tmp_path / "id" / "shared-000002" / "state.pt"
    shared.parent.mkdir()
    write_state({**a_state(2), **change}, shared)
    with pytest.raises(ArtifactError, match="it is damaged"):
        read_shared(artifacts, "id", 2)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95", b"PK\x03\x04", b"\x80\x02]q\x00."])
def test_the_right_digest_of_no_state_at_all_is_skipped(
    artifacts: FolderArtifactStore, tmp_path: Path, content: bytes
) -> None:
    save(artifacts, 1, 2)
    files(tmp_path)[-1].write_bytes(b"mitorch1" + hashlib.sha256(content).digest() + content)
    assert latest(artifacts) == 1


def test_a_flipped_bit_of_the_weights_is_found_though_the_digest_fits(
    artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    save(artifacts, 1, 2)
    newest = files(tmp_path)[-1]
    whole, weights = newest.read_bytes()[40:], torch.full((3,), 2.0).numpy().tobytes()
    assert whole.count(weights) == 1
    for bit in range(0, 96, 7):
        content = bytearray(whole)
        content[whole.index(weights) + bit // 8] ^= 1 << bit % 8
        newest.write_bytes(b"mitorch1" + hashlib.sha256(content).digest() + content)
        assert latest(artifacts) == 1


def test_deleted_are_the_checkpoints_and_nothing_else(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    save(artifacts, 1, 2)
    (tmp_path / "id" / "model.pth").write_bytes(b"weights")
    checkpoints = Checkpoints(artifacts, "id/")
    checkpoints.latest()
    checkpoints.delete()
    assert [path.name for path in (tmp_path / "id").iterdir()] == ["model.pth"]


class Full(FolderArtifactStore):
    """A store that takes nothing."""

    def put(self, key: str, source: Path) -> str:
        raise ArtifactError(key, "the store", "no space left")


def test_one_that_cannot_be_stored_is_told_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mitorch"):
        save(Full(tmp_path), 1)
    assert "the training continues without it: Artifact id/checkpoint-000001/state.pt" in caplog.text


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"tensor": torch.arange(4), "nested": {"tuple": (1, 2.5, None), "list": ["text", float("inf")]}}
    write_state(state, tmp_path / "state.pt")
    back = read_state(tmp_path / "state.pt")
    assert back is not None
    assert torch.equal(back.pop("tensor"), torch.arange(4))
    assert back == {"nested": state["nested"]}


def test_a_copy_does_not_change_with_the_original() -> None:
    weights = torch.zeros(2)
    copy = in_main_memory({"weights": [weights]})
    weights += 1
    assert copy["weights"][0].tolist() == [0, 0]


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    import random

    import numpy as np

    write_state({"random": random_state()}, tmp_path / "state.pt")
    drawn = (torch.rand(3).tolist(), random.random(), np.random.rand())
    state = read_state(tmp_path / "state.pt")
    assert state is not None
    restore_random_state(state["random"])
    assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == drawn

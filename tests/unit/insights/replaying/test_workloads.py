"""Workloads of replays: files of ours, the Standard Workload Format, what has ended, and the clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.replay.work import Nodes, Work
from mitorch_service.errors import InvalidInput
from mitorch_service.insights.replaying.recorded_work import recorded_work
from mitorch_service.insights.replaying.replay_clusters import given_clusters, present_clusters
from mitorch_service.insights.replaying.workload_file import read_workload
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Resources, Training
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_training, an_attempt, later

SWF = """; Version: 2.2
; MaxNodes: 4
; MaxProcs: 16
1 0 5 100 8 -1 -1 8 -1 -1 1 3 2 7 -1 -1 -1 -1
2 60 -1 -1 -1 -1 -1 4 -1 -1 5 3 2 7 -1 -1 -1 -1
3 90 0 30 -1 -1 -1 3 -1 -1 0 -1 -1 -1 -1 -1 -1 -1
"""


def test_a_file_of_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "work.jsonl"
    full = '{"submitted": 5, "seconds": 60, "nodes": 2, "user": "ann", "team": "a", "priority": 1, "dataset": "d", '
    file.write_text(
        full + '"epochs": 3, "gpus": 1, "memory": 8, "clusters": ["lab"]}\n\n{"submitted": 0, "seconds": 1}\n'
    )
    assert read_workload(file) == [
        Work(5.0, 60.0, 2, "ann", "a", 1, "d", 3, 1, 8.0, ("lab",)),
        Work(0.0, 1.0),
    ]


def test_a_log_in_the_standard_workload_format(tmp_path: Path) -> None:
    file = tmp_path / "log.swf"
    file.write_text(SWF)
    assert read_workload(file) == [
        Work(0.0, 100.0, 2, "3", "2", dataset="user 3, executable 7"),  # 8 of 4 processors a node
        Work(90.0, 30.0, 1, dataset="user ?, executable ?"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("w.jsonl", "", "has no trainings"),
        ("w.jsonl", '{"submitted": 0, "seconds": 1}\n{"seconds": 1}', "line 2, submitted: is required"),
        ("w.jsonl", '{"submitted": 0, "seconds": -1}', "line 1, seconds: must be 0 or more (it is -1)"),
        ("w.jsonl", '{"submitted": 0, "seconds": 1, "nodes": 0}', "line 1, nodes: must be 1 or more (it is 0)"),
        ("w.jsonl", '{"submitted": 0, "seconds": 1, "who": "a"}', "line 1, who: is an unknown key"),
        ("w.jsonl", "nonsense", "line 1: is not JSON"),
        ("w.jsonl", "[1]", "line 1: must be an object"),
        ("w.swf", "1 2 3", "line 1: has 3 fields, 18 are needed"),
        ("w.swf", "x " * 18, "line 1: is not of numbers"),
        ("w.swf", "nan " * 18, "line 1: has a number that is not finite"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_workload(file)
    assert problem in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    for name, problem in (("none.jsonl", "No such file"), ("bytes.jsonl", "is not UTF-8")):
        with pytest.raises(InvalidInput, match=problem):
            read_workload(tmp_path / name)


def _ended(submitted: float, *times: tuple[float, float], **fields: object) -> Training:
    row = a_training(status=TrainingStatus.COMPLETED, created_at=later(submitted), **fields)
    attempts = [
        an_attempt(row, number).model_copy(update={"started_at": later(begin), "ended_at": later(end)})
        for number, (begin, end) in enumerate(times, 1)
    ]
    stamped = {"completed": later(max((end for _, end in times), default=0.0))}
    return row.model_copy(update={"attempt": len(attempts), "attempts": attempts, "status_times": stamped})


def test_what_has_ended_takes_as_long_as_all_of_its_attempts(store: Store) -> None:
    store.queue.add_trainings(
        [
            _ended(
                100, (150, 250), (300, 350), submitted_by="ann", tags=["team=a"], resources=Resources(nodes=2, gpus=1)
            ),
            _ended(50, (60, 90)),
            _ended(10),  # which never ran
            _ended(-99_999, (-90_000, -80_000)),
            a_training(),
        ]
    )
    first, second = sorted(recorded_work(store, NOW, 10), key=lambda one: one.submitted)
    assert first == Work(0.0, 30.0, dataset="digits:1", epochs=3)
    assert second == Work(50.0, 150.0, 2, "ann", "a", dataset="digits:1", epochs=3, gpus=1)
    assert len(recorded_work(store, NOW, 1)) == 1


def test_clusters_are_those_given_or_those_that_are_there() -> None:
    text = (
        '[{"name": "a", "nodes": 2, "price": 1.5, "gpus": 1, "memory": 8, "data": ["d*"]}, {"name": "b", "nodes": 1}]'
    )
    assert given_clusters(text) == [Nodes("a", 2, 1.5, 1, 8.0, ("d*",)), Nodes("b", 1)]
    facts = {"a": Cluster("a", price=2.0), "none": Cluster("none")}
    backends = {"a": FakeBackend("a", 3, gpus=4), "none": FakeBackend("none", 0)}
    assert present_clusters(facts, backends) == [Nodes("a", 3, 2.0, 4)]
    assert backends["a"].capacity() == Capacity(3, 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must not be empty"),
        ('[{"name": "a"}]', "0.nodes: is required"),
        ('[{"name": "a", "nodes": 1}, {"name": "a", "nodes": 1}]', "two clusters have the same one"),
        ("{", "is not JSON"),
        ("/no/such.json", "No such file"),
    ],
)
def test_what_is_wrong_with_clusters_is_named(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        given_clusters(text)

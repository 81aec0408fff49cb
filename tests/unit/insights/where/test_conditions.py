"""Filters on real documents: each kind of field, what is missing, what is refused, and regular expressions in time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mitorch_service.errors import InvalidFilter, MiTorchError
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import read_table
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Progress, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import CONFIG, NOW, a_training, an_attempt, later

FIRST, SECOND = "aaaa1111-0000-4000-8000-000000000001", "bbbb2222-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
def both() -> Iterator[Store]:
    """Two trainings that differ in all that a filter may look at."""
    store = SqliteStore(None)
    first = a_training(
        id=FIRST,
        name="Cat v1, large",
        tags=["team=vision", "stage=final"],
        submitted_by="ann",
        user_note="Look at THIS",
        priority=50,
        created_at=NOW,
        evaluation={"val_loss": 0.25, "top1_accuracy": 0.9},
        progress=Progress(epoch=3, max_epochs=3, val_loss=0.3, metrics={"top1_accuracy": 0.8}, at=NOW),
        status="completed",
        status_times={"new": NOW, "running": later(10), "completed": later(86_400)},
        config={**CONFIG, "batch_size": 16, "pretrained": True, "sizes": [1, 2], "depth": "8"},
    )
    attempt = an_attempt(first).model_copy(
        update={"started_at": later(10), "ended_at": later(3610), "outcome": AttemptOutcome.COMPLETED}
    )
    second = a_training(
        id=SECOND,
        status="failed",
        status_times={"failed": later(-86_400)},
        created_at=later(-86_400),
        error=TrainingErrorInfo(type="DataError", message="cat.png is damaged"),
        config={**CONFIG, "batch_size": 32},
    )
    store.queue.add_trainings([first.model_copy(update={"attempt": 1, "attempts": [attempt]}), second])
    yield store
    store.close()


def fitting(store: Store, where: str) -> list[str]:
    return sorted(row.id for row in read_table(store, TableRequest(where), NOW).rows)


ONE = [
    *("cat", "CAT", "v1", "aaaa1111", "AAAA11", "team=vision", "team", "vision", "cat*large", "id:aaaa1111-00"),
    *("/^cat v[0-9]/", "/V1,/", 'name:"Cat v1, large"', "name:Cat*", "name:*large", "name:C*v1*e"),
    *(
        "status:completed",
        "status:new,completed",
        "-status:failed",
        "tag:team=vision",
        "tag:team",
        "tag:team=*",
        "-error:cat",
    ),
    *(
        "by:ann",
        "by:a*",
        "note:this",
        "priority:50",
        "priority:<100",
        "epochs:>=3",
        "epoch:3",
        "attempts:1",
        "cluster:local",
    ),
    *("outcome:completed", "created:>=2026-11-20", "created:2026-11-20", "created:>1h", "created:>2026-11-20T12:00"),
    *(
        "started:2026-11-20T12:30:25",
        "ended:>=2026-11-21",
        "duration:>3000",
        "node_hours:1",
        "val_loss:<0.3",
        "val_loss:0.25",
    ),
    *("metric.top1_accuracy:>0.85", "last.top1_accuracy:0.8", "last.val_loss:>0.29", "tag.team:vision", "has:name"),
    *(
        "config.batch_size:16",
        "batch_size:<20",
        "config.pretrained:true",
        "config.sizes:2",
        "config.depth:8",
        "config.depth:*",
    ),
    *("-has:error", "has:cluster,error -status:failed", "dataset:digits -batch_size:32", "-tag.team:x has:tag"),
]
OTHER = [
    *(
        "-cat",
        "-/cat/",
        "-has:name",
        "has:error",
        "error:dataerror",
        "error:DAMAGED",
        "error:*png*damaged",
        "status:failed",
    ),
    *(
        "-by:ann",
        "-tag:team",
        "created:<2026-11-20",
        "created:<=2026-11-19",
        "ended:<1h",
        "batch_size:32",
        "-val_loss:<1",
    ),
]
NEITHER = [
    *(
        "name:cat",
        "name:Cat",
        "by:Ann",
        "tag:tea",
        "status:open",
        "epoch:>3",
        "cost:>0",
        "config.nothing:1",
        "best.val_loss:<9",
    ),
    *(
        "config.depth:<9",
        "config.pretrained:1",
        "status:new status:failed",
        "dataset:digits:2",
        "priority:>1e9",
        "created:>2027-01-01",
    ),
]


@pytest.mark.parametrize("where", ONE)
def test_what_fits_the_first(both: Store, where: str) -> None:
    assert fitting(both, where) == [FIRST]


@pytest.mark.parametrize("where", OTHER)
def test_what_fits_the_second(both: Store, where: str) -> None:
    assert fitting(both, where) == [SECOND]


@pytest.mark.parametrize("where", NEITHER)
def test_what_fits_none(both: Store, where: str) -> None:
    assert fitting(both, where) == []


def test_what_fits_both(both: Store) -> None:
    for where in (
        "",
        "dataset:digits",
        "dataset:digits:1",
        "dataset:dig*",
        "status:ended",
        "id:aaaa,bbbb",
        "base_lr:0.01",
    ):
        assert fitting(both, where) == [FIRST, SECOND], where


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("x statsu:new", r"statsu:new \(character 3\): 'statsu' is no known field; did you mean 'status'"),
        ("12:30", 'a colon that belongs to a name is written in "quotes"'),
        ("status:done", "'done' is no status; did you mean 'completed'"),
        ("status:>new", "has no order"),
        ("epoch:ten", "'ten' is no number: write one, such as 10"),
        ("config.batch_size:>ten", "'ten' is no number"),
        ("created:>yesterday", "'yesterday' is no time: write a day"),
        ("created:>9999999d", "is no time"),
        ("created:2026-13-01", "is no time"),
        ("created:7d", "write >7d"),
        ("created:2026*", "no wildcards"),
        ("name:>a", "is a text, which > does not compare"),
        ("job:a*", "id of a job"),
        ("job:nothing", "miquery --jobs"),
        ("has:nothing", "no known field"),
        ("/(/", "is no regular expression"),
        ("/" + "a" * 201 + "/", "too long"),
        ("config:x", r"config\.optimizer\.name"),
    ],
)
def test_what_cannot_be_right_is_refused_with_a_remedy(both: Store, where: str, said: str) -> None:
    with pytest.raises(MiTorchError, match=said):
        read_table(both, TableRequest(where), NOW)


def test_a_regular_expression_cannot_hang_the_process(store: Store) -> None:
    store.queue.add_trainings([a_training(name="a" * 200)])
    begin = time.monotonic()
    with pytest.raises(InvalidFilter, match=r"takes more than 0\.1 s for the name 'aaa"):
        read_table(store, TableRequest(r"/(a|aa)+$b/"), NOW)
    assert time.monotonic() - begin < 5

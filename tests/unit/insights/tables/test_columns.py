"""Columns by name: any key, metric, parameter and tag; names that are short, unknown, or stand for several."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.insights.tables.columns import MAX_COLUMNS, parse_columns
from mitorch_service.insights.tables.known_columns import known_columns
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import read_table
from mitorch_service.models.training import Progress, TrainingErrorInfo
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import CONFIG, NOW, a_result, a_training, a_trial, an_attempt, later

SCRIPT = {"script": {"command": ["true"], "env": {"API_TOKEN": "hunter2", "SIZE": "3"}}, "my": {"depth": 4}}


def cells(store: Store, columns: str, where: str = "") -> Sequence[object]:
    (row,) = read_table(store, TableRequest(where, columns=columns), NOW).rows
    return row.cells


def test_any_key_metric_parameter_and_tag_is_a_column(store: Store) -> None:
    trial = a_trial("job", 3, evaluation={"val_loss": 0.25, "top1_accuracy": 0.5}, tags=["team=a", "x=1"])
    progress = Progress(epoch=2, max_epochs=3, train_loss=0.75, val_loss=0.5, metrics={"top1_accuracy": 0.4}, at=NOW)
    attempt = an_attempt(trial).model_copy(update={"started_at": NOW, "ended_at": later(3600), "price": 2.0})
    row = trial.model_copy(update={"progress": progress, "attempt": 1, "attempts": [attempt], "submitted_by": "ann"})
    store.queue.add_trainings([row])
    for epoch, loss in enumerate((0.75, 0.25, 0.5), 1):
        record = a_result(epoch, val_loss=loss, metrics={"top1_accuracy": loss}).model_dump()
        primitives(store).insert("training_results", [{"_id": f"{row.id}:{epoch:06d}", "attempt": 1, **record}])
    assert cells(store, "base_lr,config.model.name,model.input_size") == [0.01, "test_resnet", 32]
    assert cells(store, "lr,trial,param.lr") == [0.1, 3]
    assert cells(store, "val_loss,last.val_loss,best.val_loss,min.val_loss,max.val_loss") == [
        0.25,
        0.5,
        0.25,
        0.25,
        0.75,
    ]
    assert cells(store, "top1_accuracy,last.top1_accuracy,best.top1_accuracy") == [0.5, 0.4, 0.75]
    assert cells(store, "tag,tag.team,by,cluster,cost,node_hours,epoch") == [
        *(["team=a", "x=1"], "a", "ann", "local", 2.0, 1.0, 2)
    ]
    assert cells(store, "status", "best.val_loss:<0.3 max.val_loss:>0.7 cost:2") == ["new"]


def test_what_is_not_there_is_none_and_errors_are_read_only_where_shown(store: Store) -> None:
    store.queue.add_trainings([a_training(error=TrainingErrorInfo(type="Oops", message="broke"))])
    assert cells(store, "error,ended,value,best.f1,config.nothing.here,tag.x") == ["Oops: broke", *[None] * 5]


def test_credentials_are_masked_and_no_filter_can_guess_them(store: Store) -> None:
    store.queue.add_trainings([a_training(config=SCRIPT, name="see https://me:pass@host/x")])
    assert cells(store, "config.script.env.API_TOKEN,config.script.env.SIZE,name") == [
        "***",
        "3",
        "see https://me:***@host/x",
    ]
    for where in ("config.script.env.API_TOKEN:hunter2", "config.script.env.API_TOKEN:h*"):
        assert read_table(store, TableRequest(where), NOW).rows == []


def test_a_short_name_that_the_trainings_have_is_understood(store: Store) -> None:
    store.queue.add_trainings([a_training(config={**CONFIG, "my": {"depth": 4}}, evaluation={"kappa": 0.5})])
    assert cells(store, "depth,kappa") == [4, 0.5]
    store.queue.add_trainings([a_training(config={**CONFIG, "other": {"depth": 5}})])
    with pytest.raises(InvalidInput, match=r"config\.other\.depth and config\.my\.depth: write one of them whole"):
        parse_columns("depth", lambda: ["config.other.depth", "config.my.depth"])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("statsu", "did you mean 'status'"),
        ("best", r"best\.val_loss"),
        ("config", r"config\.optimizer\.name"),
        ("top1_acuracy", "top1_accuracy"),
        ("status\rname", "one line of names"),
        (",".join(f"config.a{n}" for n in range(MAX_COLUMNS + 1)), "choose 200 at most"),
    ],
)
def test_a_name_that_is_unknown_is_refused_with_the_nearest(columns: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_columns(columns)


def test_each_column_once_and_names_with_commas_in_quotes() -> None:
    assert [one.name for one in parse_columns('status, epochs,epoch,"param.a,b"')] == ["status", "epoch", "param.a,b"]


def test_known_columns_are_listed_by_frequency_and_capped(store: Store) -> None:
    keys = {f"key{n}": n for n in range(12_000)}
    store.queue.add_trainings([a_training(config={"many": keys}), a_training(tags=["team=a"]), a_training()])
    known = known_columns(store)
    assert (len(known.columns), known.sampled) == (500, 3)
    assert known.total > 2000
    names = [one.name for one in known.columns]
    assert names.index("config.model.name") < names.index("tag.team")
    found = known_columns(store, part="LR_sched").columns
    assert [one.name for one in found] == ["config.lr_scheduler.base_lr", "config.lr_scheduler.name"]

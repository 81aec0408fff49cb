"""miquery's tables: what is printed, pages by token, exports, groups, views, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.shell_completion import CompletionItem

from mitorch_service.cli.main import call, load
from mitorch_service.cli.parameters.completed_values import (
    complete_columns,
    complete_fields,
    complete_views,
    complete_where,
)
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_store
from tests.samples import a_training

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The database of a home with three trainings."""
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    store = open_store(read_settings(), create=True)
    for name, loss in (("cat", 0.5), ("dog", 0.25), ("=cat", None)):
        store.queue.add_trainings([a_training(name=name, tags=["a=b"], evaluation=loss and {"val_loss": loss})])
    yield store
    store.close()


@pytest.fixture
def ask(store: Store, capsys: pytest.CaptureFixture[str]) -> Ask:
    def ask(*arguments: str) -> tuple[int, str, str]:
        code = call(load("query"), "miquery", arguments)
        return code, *capsys.readouterr()

    return ask


def test_a_table_its_pages_and_its_json(ask: Ask) -> None:
    code, out, _ = ask("--where", "cat", "--columns", "name,val_loss,created", "--sort", "val_loss", "--limit", "1")
    lines = out.splitlines()
    assert (code, lines[1].split(), lines[2].split()[1:3]) == (
        0,
        ["ID", "NAME", "VAL_LOSS", "CREATED_UTC"],
        ["cat", "0.5"],
    )
    token = lines[3].removeprefix("next page: --after ")
    page = json.loads(ask("--where", "cat", "--sort", "val_loss", "--columns", "name", "--after", token, "--json")[1])
    assert [row["name"] for row in page["rows"]] == ["=cat"]
    assert (page["complete"], page["next"], page["columns"], page["sort"]) == (True, None, ["name"], "metric.val_loss")
    assert page["previous"] is not None
    assert ask("--where", "nothing")[1].splitlines()[-1] == "none fits"
    narrowed = json.loads(ask("--where", "cat", "--tag", "a=b", "--name", "cat", "--json")[1])
    assert [row["name"] for row in narrowed["rows"]] == ["cat"]


def test_exports(ask: Ask, tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(ask("--csv", "--columns", "name,val_loss", "--sort", "oldest")[1])))
    assert [row[1:] for row in rows] == [["name", "val_loss"], ["cat", "0.5"], ["dog", "0.25"], ["'=cat", ""]]
    code, _, err = ask("--where", "cat", "--parquet", "rows.parquet", "--columns", "name")
    assert (code, err) == (0, "2 rows written to rows.parquet\n")
    assert pq.read_table(tmp_path / "rows.parquet").to_pydict()["name"] == ["=cat", "cat"]
    for path in ("/dev/null", "nowhere/rows.parquet"):
        code, _, err = ask("--parquet", path)
        assert (code, "name another file" in err) == (2, True)
    assert Path("/dev/null").is_char_device()


def test_groups(ask: Ask) -> None:
    _, out, _ = ask("--group-by", "name", "--value", "val_loss", "--sort", "name")
    assert out.splitlines()[2].split() == ["=cat", "1", "1", "-", "-", "-", "-", "0"]
    grouped = json.loads(ask("--group-by", "status", "--json")[1])
    assert grouped["groups"] == [{"key": "new", "trainings": 3, "by_status": {"new": 3}}]
    rows = list(csv.reader(io.StringIO(ask("--group-by", "dataset", "--value", "val_loss", "--csv")[1])))
    assert (rows[0][:3], rows[1][:3], rows[1][-5:]) == (
        ["dataset", "trainings", "new"],
        ["digits:1", "3", "3"],
        ["0.25", "0.375", "0.25", "0.5", "2"],
    )


def test_views(ask: Ask) -> None:
    assert "none yet" in ask("--views")[1]
    assert ask("--where", "cat", "--columns", "name", "--sort", "name", "--save-view", "cats")[0] == 0
    assert ask("--view", "cats")[1].splitlines()[2].split()[1] == "=cat"
    narrowed = json.loads(ask("--view", "cats", "--where", "val_loss:<1", "--columns", "status,name", "--json")[1])
    assert (len(narrowed["rows"]), narrowed["columns"]) == (1, ["status", "name"])
    assert json.loads(ask("--views", "--json")[1])["views"][0]["query"] == "where=cat&sort=name&columns=name"
    assert ask("--remove-view", "cats")[0] == 0
    assert ask("--view", "cats")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "statsu:new"], "did you mean 'status'"),
        (["--where", "x", "--after", "nonsense"], "begin with the first page"),
        (["--sort", "nam"], "did you mean 'name'"),
        (["--columns", "nam"], "did you mean 'name'"),
        (["abc", "--where", "x"], "filters a list"),
        (["--jobs", "--where", "x"], "filters trainings"),
        (["--csv", "--json"], "two forms"),
        (["--csv", "--watch"], "without --watch"),
        (["--value", "val_loss"], "belongs to --group-by"),
        (["--views", "--csv"], "shows no table"),
        (["--group-by", "name", "--parquet", "x"], "--group-by counts"),
        (["--csv", "--after", "x"], "write all rows"),
        (["--why", "--where", "x"], "--why needs the ID"),
        (["--where", "x", "--limit", "1001"], "from 1 to 1000"),
        (["--time-limit", "0"], "0"),
    ],
)
def test_what_is_refused(ask: Ask, arguments: list[str], said: str) -> None:
    code, _, err = ask(*arguments)
    assert (code, said in err) == (2, True), err


def test_fields_and_views_are_completed(store: Store, ask: Ask) -> None:
    ask("--where", "cat", "--save-view", "cats")
    context = load("query").make_context("miquery", [])

    def offered(complete: Callable[..., list[CompletionItem]], text: str) -> list[str]:
        return [item.value for item in complete(context, context.command.params[0], text)]

    assert "-name" in offered(complete_fields, "-nam")
    assert "status,config.lr_scheduler.base_lr" in offered(complete_columns, "status,base")
    assert offered(complete_where, "cat -stat") == ["cat -status:"]
    assert offered(complete_where, "status:ne") == []
    assert offered(complete_views, "c") == ["cats"]

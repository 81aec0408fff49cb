"""The table of trainings: its address is the view; exports, views, suggestions."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from pathlib import Path

import pyarrow.parquet
import pytest
from markupsafe import escape

from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.samples import a_training
from tests.served import Served, served

HOSTILE = "<script>alert(1)</script>"


def _ids(page: str) -> list[str]:
    return re.findall(r'<tr data-id="([^"]+)"', page)


def _link(page: str, rel: str) -> str:
    address: str
    (address,) = re.findall(rf'href="([^"]+)" rel="{rel}"', page)
    return unescape(address)


def _total(service: Served) -> int:
    return sum(service.store.trainings.count_trainings().values())


def test_pages_lead_forward_and_back(seen: Served) -> None:
    client = seen.client()
    first = client.get("/trainings?limit=20").text
    assert f"{_total(seen)}</span>" in first
    second = client.get(_link(first, "next")).text
    assert len({*_ids(first), *_ids(second)}) == _total(seen)
    assert 'rel="next"' not in second
    assert _ids(client.get(_link(second, "prev")).text) == _ids(first)


def test_the_address_says_filter_order_and_columns(seen: Served) -> None:
    page = (
        seen.client()
        .get(
            "/trainings?q=status:completed&sort=-val_loss&columns=val_loss,best.top1_accuracy,config.model.name,tag.team"
        )
        .text
    )
    headings = re.findall(r'title="Sort by ([^"]+)"', page)
    assert headings == ["metric.val_loss", "best.top1_accuracy", "config.model.name", "tag.team"]
    assert 'aria-sort="descending"' in page
    assert "sort=metric.val_loss" in page  # the other direction
    assert page.count('class="pill is-completed"') == 0  # no column that was not asked for
    listed = seen.store.trainings.list_trainings(TrainingFilter(), 1000).items
    assert len(_ids(page)) == sum(row.status == "completed" for row in listed)


WRONG = [
    ("q=stauts:failed", "status"),
    ('q="open', "closing one"),
    ("sort=nonsense", "no known field"),
    ("columns=val_loss,nonsense", "no known field"),
    ("group=nonsense", "no known field"),
    ("q=job:nobody", "There is no job"),
    ("after=rubbish", "no token of a page"),
]


def test_what_is_wrong_is_said_below_the_box_which_keeps_its_text(seen: Served) -> None:
    client = seen.client()
    for query, words in WRONG:
        answer = client.get(f"/trainings?{query}")
        assert answer.status_code == 400
        (problem,) = re.findall(r'id="filter-problem" role="alert">(.*?)</p>', answer.text, re.DOTALL)
        assert words in problem
        if query.startswith("q="):
            assert f'name="q" value="{escape(query[2:])}"' in answer.text


def test_groups_lead_to_their_trainings(seen: Served) -> None:
    client = seen.client()
    page = client.get("/trainings?group=dataset&value=val_loss&q=status:completed").text
    rows = re.findall(r'<th scope="row"><a href="([^"]+)">([^<]+)</a></th><td class="number">(\d+)</td>', page)
    assert [name for _, name, _ in rows] != []
    for address, _, number in rows:
        assert len(_ids(client.get(unescape(address)).text)) == int(number)
    assert 'class="status-bar"' in page and "mean" in page


def test_partial_results_say_so_and_go_on(seen: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.viewer.pages.trainings.SECONDS", 0.0)
    page = seen.client().get("/trainings?q=best.val_loss:<-1").text
    assert re.search(r"Looked at [\d,]+ of \d+ trainings", page)


def test_what_people_wrote_is_text(service: Served) -> None:
    service.store.queue.add_trainings(
        [a_training(name=f"{HOSTILE} mongodb://u:geheim-1@h/", tags=[f"x={HOSTILE}"], user_note=HOSTILE)]
    )
    client = service.client()
    for query in ("columns=name,tag,note,config.model", "group=name", "group=tag", f"q={HOSTILE}"):
        page = client.get(f"/trainings?{query}").text
        assert HOSTILE not in page and "geheim-1" not in page, query


def test_nobody_has_no_buttons_that_change(tmp_path: Path) -> None:
    with served(tmp_path, read_only=True) as service:
        page = service.client().get("/trainings").text
    assert 'data-bulk="compare"' in page and 'data-bulk="cancel"' not in page and "data-save-view" not in page


def test_empty_tables_name_what_to_do(service: Served, tmp_path: Path) -> None:
    page = service.client().get("/trainings?q=name:nobody").text
    assert "None fits" in page
    (service.settings.home / "mitorch.db").rename(tmp_path / "elsewhere")
    assert "misubmit CONFIG.json" in service.client().get("/trainings").text


def test_exports_have_every_row(seen: Served, tmp_path: Path) -> None:
    client, total = seen.client(), _total(seen)
    answer = client.get("/api/trainings/export?format=csv&columns=name,val_loss")
    assert answer.headers["content-disposition"] == 'attachment; filename="trainings.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["id", "name", "val_loss"] and len(rows) == total + 1
    lines = client.get("/api/trainings/export?format=json&where=status:failed").text.splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"failed"}
    made = tmp_path / "made.parquet"
    made.write_bytes(client.get("/api/trainings/export?format=parquet&sort=val_loss&columns=name,val_loss").content)
    assert pyarrow.parquet.read_table(made).num_rows == total
    assert client.get("/api/trainings/export?where=nonsense:1").status_code == 400


def test_views_are_saved_listed_and_removed(service: Served) -> None:
    client = service.client()
    body = {"name": "my failures", "where": "status:failed", "columns": "val_loss"}
    assert client.put("/api/views", json=body).status_code == 200
    page = client.get("/trainings").text
    assert 'href="/trainings?q=status%3Afailed&amp;columns=val_loss">my failures</a>' in page
    assert client.put("/api/views", json={"name": "wrong", "where": "nonsense:1"}).status_code == 400
    assert [view["name"] for view in client.get("/api/views").json()] == ["my failures"]
    assert client.delete("/api/views?name=my%20failures").status_code == 200
    assert client.delete("/api/views?name=my%20failures").status_code == 404


def test_columns_and_suggestions(seen: Served) -> None:
    client = seen.client()
    columns = client.get("/api/columns?part=accuracy").json()
    assert "best.top1_accuracy" in [one["name"] for one in columns["columns"]]
    answer = client.get("/api/suggest?where=status:f").json()
    assert (answer["start"], answer["end"], answer["suggestions"][0]["text"]) == (7, 8, "failed")

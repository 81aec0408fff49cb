"""obdb's annotations database, filled as its program fills it: what is read, and what is wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from mitorch_service.cli.dataset_commands.import_annotations import import_and_register
from mitorch_service.errors import InvalidInput, StoreError, StoreUnavailable
from mitorch_service.interop.obdb.annotation_database import Frame, Shape, read_recordings
from mitorch_service.interop.obdb.dataset_import import Selection
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_store
from tests.obdb_database import CvatTask, fill, frame, shape

FIRST, SECOND = "FieldData 20200520145736 1L GH020068", "FieldData 20200515101008 3R GH070071"
OTHER = f"{FIRST} copy"  # begins with the name of another


@pytest.fixture
def filled(mongodb_uri: str, tmp_path: Path) -> Iterator[Database[dict[str, Any]]]:
    name = f"annotations_{os.getpid()}_{abs(hash(tmp_path))}"
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        yield client[name]
        client.drop_database(name)


def frames(folder: str, count: int) -> list[dict[str, Any]]:
    return [frame(f"fielddata/{folder}/frame_{number}.jpg") for number in range(count)]


def fill_two(database: Database[dict[str, Any]]) -> None:
    """Three recordings: one by each version of obdb, and one that is not asked for."""
    fill(
        database,
        CvatTask(FIRST, frames("a", 2), [shape(1, [1, 2, 30, 40]), shape(1, [5, 5, 9, 5, 7, 9], 9, "polygon")]),
    )
    fill(
        database,
        CvatTask(SECOND, frames("b", 1), [shape(0, [1.5, 2, 3, 4]), shape(0, [1, 1, 9, 9], 9)], "2020-05-21"),
        "shape_types",
    )
    fill(database, CvatTask(OTHER, frames("c", 1), [shape(0, [1, 2, 3, 4])]))


def test_recordings_are_read_whole_in_the_order_asked_for(
    filled: Database[dict[str, Any]], mongodb_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_two(filled)
    name, (second, first) = read_recordings(mongodb_uri, filled.name, [SECOND, FIRST, SECOND])
    assert name == filled.name
    assert (second.name, second.updated, first.updated) == (SECOND, "2020-05-21", "2020-05-20T14:57:36.123456Z")
    assert first.frames == [Frame(f"fielddata/a/frame_{number}.jpg", 64, 64) for number in range(2)]
    named = mongodb_uri.replace("/?", f"/{filled.name}?")
    assert read_recordings(named, None, [SECOND, FIRST]) == (name, [second, first])
    name = "fielddata/a/frame_1.jpg"
    assert first.shapes == [
        Shape("rectangle", (1, 2, 30, 40), 1, name, "Fat hen"),
        Shape("polygon", (5, 5, 9, 5, 7, 9), 1, name, "Rape"),
    ]
    assert second.shapes == [
        Shape("rectangle", (1.5, 2, 3, 4), 0, "fielddata/b/frame_0.jpg", "Fat hen"),
        Shape("rectangle", (1, 1, 9, 9), 0, "fielddata/b/frame_0.jpg", "Rape"),
    ]

    for one in (*first.frames, *second.frames):
        path = tmp_path / "images" / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    settings, tasks = read_settings(), [FIRST, SECOND]
    secret = mongodb_uri.replace("://", "://ada:pass-word@") if "@" not in mongodb_uri else mongodb_uri
    selection = Selection(secret, tasks, tmp_path / "images", filled.name)
    monkeypatch.setattr(
        "mitorch_service.interop.obdb.dataset_import.read_recordings",
        lambda uri, *rest: read_recordings(mongodb_uri, *rest),
    )
    ref, remarks = import_and_register(settings, selection, "weeds")
    assert (str(ref), list(remarks)) == (
        "weeds:1",
        [
            "3 frames (1 empty) with 4 boxes: 1 to train, 2 to validate",
            "1 annotation other than a rectangle: the box around it was taken",
            "registered weeds:1",
        ],
    )
    dataset = open_store(settings).datasets.get_dataset(ref)
    assert dataset.imported_from["tasks"] == [
        {"name": FIRST, "updated_date": "2020-05-20T14:57:36.123456Z"},
        {"name": SECOND, "updated_date": "2020-05-21"},
    ]
    assert "pass-word" not in str(dataset.to_document())
    assert "@" not in dataset.imported_from["source"]
    assert {name: one.images for name, one in dataset.contents.items()} == {"train": 1, "val": 2}

    again, remarks = import_and_register(settings, selection, "weeds")
    assert (again, remarks[-1]) == (ref, "is registered already as weeds:1")
    filled["annotation_data"].update_one({"task_name": SECOND}, {"$set": {"points": [1, 2, 3, 5]}})
    changed, _ = import_and_register(settings, selection, "weeds")
    assert str(changed) == "weeds:2"


def test_what_is_missing_or_damaged_is_named(filled: Database[dict[str, Any]], mongodb_uri: str) -> None:
    def read(*names: str) -> str:
        with pytest.raises(InvalidInput) as raised:
            read_recordings(mongodb_uri, filled.name, names)
        return str(raised.value)

    assert "there is no recording of this name; none is there: check the name of the database" in read(FIRST)
    fill_two(filled)
    assert f"{FIRST[:-1]}: there is no recording of this name; did you mean '{FIRST}'?" in read(FIRST[:-1])
    filled["annotation_data"].update_one({"task_name": SECOND}, {"$set": {"points": [1, "x", 3, 5]}})
    assert f"{SECOND}: points is [1, 'x', 3, 5], not a list of numbers" in read(SECOND)
    filled["annotation_data"].update_one({"task_name": SECOND}, {"$set": {"points": [1, 2], "frame": "one"}})
    assert "frame is 'one', not a whole number" in read(SECOND)
    filled["meta"].update_one({"task_name": FIRST}, {"$set": {"frames": [{"name": "a.jpg"}]}})
    assert "frames[0] is {'name': 'a.jpg'}, not an object with name, width and height" in read(FIRST)
    filled["meta"].delete_many({})
    assert f"{FIRST}: has no frames in meta" in read(FIRST)


def test_a_database_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.interop.obdb.annotation_database._ANSWER_SECONDS", 0.05)
    with pytest.raises(StoreUnavailable, match=r"The annotations database does not answer|annotations database"):
        read_recordings("mongodb://127.0.0.1:1/", "annotations", ["A"])
    with pytest.raises(StoreError):
        read_recordings("mongodb://127.0.0.1:port/", "annotations", ["A"])

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mitorch_service.training.data.formats import json_stream
from mitorch_service.training.data.formats.json_stream import JsonError, stream_lists

DOCUMENT: dict[str, Any] = {
    "info": {"a": [1, {"b": "]}"}], "année": None},
    "images": [{"id": 1, "name": 'a "b" \\ {'}, [], "text", 12.5, None, True],
    "version": 1234567,
    "empty": [],
    "boxes": [{"x": [1, 2, {"y": "z" * 50}]}] * 20,
}


def lists(text: str, *keys: str) -> dict[str, list[Any]]:
    return {key: list(elements) for key, elements in stream_lists(io.StringIO(text), keys)}


@pytest.mark.parametrize("block", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 3])
def test_gives_the_lists_that_json_gives(block: int, indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_BLOCK", block)
    text = "\n " + json.dumps(DOCUMENT, indent=indent) + " \n"
    assert lists(text, "images", "empty", "boxes", "absent") == {
        key: DOCUMENT[key] for key in ("images", "empty", "boxes")
    }


def test_a_list_that_nobody_reads_is_passed_over() -> None:
    assert [key for key, _ in stream_lists(io.StringIO(json.dumps(DOCUMENT)), ("images", "boxes"))] == [
        "images",
        "boxes",
    ]


NO_OBJECTS = ["", "{", "{}x", "[]", "5", '{"a"', '{"a" [1]}', '{"b":1', '{"b":1,}', "{1: 2}", "{'a': 1}", '{"b": tru}']
NO_LISTS = ['{"a":', '{"a": [1', '{"a": [1,]}', '{"a": [1}', '{"a": [1 2]}', '{"a": [{"b": }]}', '{"a": [1]} {}']


@pytest.mark.parametrize("text", [*NO_OBJECTS, *NO_LISTS])
def test_what_is_no_json_is_told_with_its_place(text: str) -> None:
    with pytest.raises(JsonError, match=r"character \d+"):
        lists(text, "a")


def test_a_key_without_a_list_is_told() -> None:
    with pytest.raises(TypeError, match="images is not a list"):
        lists('{"images": {}}', "images")

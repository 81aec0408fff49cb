"""A user's file: everything that is wrong with it, each with its path and a remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import (
    MAX_CONFIG_BYTES,
    MAX_DEPTH,
    check,
    nearest,
    parse_config,
    parse_object,
)
from mitorch_service.models.search.job import JobConfig, SearchConfig
from tests.samples import CONFIG


def problems(model: type[BaseModel], data: Any) -> dict[str, str]:
    """Returns the problems, by path."""
    return {problem.path: problem.message for problem in check(model, data)[1]}


def changed(**fields: Any) -> dict[str, Any]:
    """A good training config, except for some fields."""
    return {**CONFIG, **fields}


def test_a_good_config_has_no_problem() -> None:
    config, wrong = check(TrainingConfig, CONFIG)
    assert (config is not None, wrong) == (True, [])


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"batchsize": 3}, "batchsize", "did you mean 'batch_size'?"),
        ({"optimizer": {"nam": "sgd"}}, "optimizer.nam", "did you mean 'name'?"),
        ({"optimizer": {"momentun": 0.9}}, "optimizer.momentun", "did you mean 'momentum'?"),
        ({"augmentation": {"vall": "resize"}}, "augmentation.vall", "did you mean 'val'?"),
        (
            {"augmentation": {"train": ["resize", {"name": "resize", "option": {}}]}},
            "augmentation.train[1].option",
            "did you mean 'options'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(fields: dict[str, Any], path: str, hint: str) -> None:
    wrong = problems(TrainingConfig, changed(**fields))
    assert list(wrong) == [path]
    assert wrong[path].startswith(f"unknown key; {hint} known: ")


def test_an_unknown_key_that_is_like_none_lists_them() -> None:
    message = problems(TrainingConfig, changed(zzz=1))["zzz"]
    assert "did you mean" not in message
    assert "known: augmentation, base, batch_size" in message


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        (
            {"precision": "fp8"},
            "precision.name",
            '"fp8" is not known',
        ),
        ({"batch_size": 0}, "batch_size", "must be 1 or more (it is 0)"),
        ({"model": {}}, "model.name", "is required"),
        ({"base": "123"}, "base", 'must be the GUID of a training (it is "123")'),
        ({"dataset": "digits:new"}, "dataset", "the version 'new' is not a number"),
        ({"dataset": {"name": "digits", "verison": 1}}, "dataset", "unknown key 'verison'; known: name, version"),
        ({"optimizer": {"name": "adam", "nesterov": True}}, "optimizer", "nesterov needs sgd with momentum"),
        (
            {"optimizer": {"name": "sgd", "lr": 0.1}},
            "optimizer",
            "the learning rate is not set here: write it as lr_scheduler.base_lr",
        ),
        ({"task_type": "object_detection", "label_smoothing": 0.1}, "", "label_smoothing is for classification"),
    ],
)
def test_a_wrong_value_is_told_with_its_path(fields: dict[str, Any], path: str, message: str) -> None:
    wrong = problems(TrainingConfig, changed(**fields))
    assert list(wrong) == [path]
    assert message in wrong[path]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    data = {"model": {"name": "x", "input_size": 1}, "optimizer": {"nam": "?"}, "lr_scheduler": {}, "foo": 1}
    assert set(problems(TrainingConfig, data)) == {
        "model.input_size",
        "optimizer.nam",
        "foo",
    }


def test_a_long_value_is_cut_in_the_message() -> None:
    message = problems(TrainingConfig, changed(batch_size="x" * 1000))["batch_size"]
    assert len(message) < 200
    assert message.endswith("...)")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"batch_size": True}, "batch_size"),
        ({"seed": False}, "seed"),
        ({"num_workers": True}, "num_workers"),
        ({"model": {"name": "x", "input_size": True}}, "model.input_size"),
        ({"lr_scheduler": {"name": "step", "base_lr": True}}, "lr_scheduler.base_lr"),
        ({"optimizer": {"betas": [True, 0.9]}}, "optimizer.betas"),
        ({"dataset": {"name": "digits", "version": True}}, "dataset"),
    ],
)
def test_true_and_false_are_no_numbers(fields: dict[str, Any], path: str) -> None:
    wrong = problems(TrainingConfig, changed(**fields))
    assert list(wrong) == [path]
    assert "must be a number, not true or false" in wrong[path]


@pytest.mark.parametrize("value", ["yes", "no", "true", "on", "", 1, 0, 0.0])
def test_a_switch_is_true_or_false(value: Any) -> None:
    wrong = problems(TrainingConfig, changed(model={"name": "x", "pretrained": value}, precision={"compile": value}))
    assert list(wrong) == ["model.pretrained", "precision.compile"]
    assert all("must be true or false" in text for text in wrong.values())
    assert all(("without quotes" in text) == isinstance(value, str) for text in wrong.values())
    assert problems(TrainingConfig, changed(precision={"channels_last": None, "compile": True})) == {}


def test_true_and_false_are_no_numbers_in_a_search() -> None:
    search = {"max_trials": True, "seed": False}
    assert set(problems(JobConfig, {"job_type": "search", "config": {}, "search": search})) == {
        "search.max_trials",
        "search.seed",
    }
    assert set(problems(SearchConfig, search)) == {"max_trials", "seed"}


def test_true_and_false_stay_where_they_belong() -> None:
    options = {"flag": True, "flags": [True, False]}
    data = changed(model={"name": "x", "pretrained": True, "options": options}, optimizer={"nesterov": False})
    config, wrong = check(TrainingConfig, data)
    assert wrong == []
    assert config is not None
    assert config.model.options == options


@pytest.mark.parametrize("text", ["ä", '"\\u00e4"', "[1, 2.5, -3e2, null, true]", "9223372036854775807", '"\\u0001"'])
def test_what_json_says_is_read(text: str) -> None:
    if text == "ä":
        text = '{"ä": "\N{GRINNING FACE}"}'
    assert parse_config("file", text.encode()) == json.loads(text)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_config("file", b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty; write a JSON object"),
        (b" \n\t", "is empty; write a JSON object"),
        (b"\xff\xfe{}", "is not UTF-8 text"),
        (b'{"a": 1,}', "line 1, column"),
        (b'{"a": 1 // one\n}', "plain JSON has no comments"),
        (b"{'a': 1}", "only double quotes"),
        (b'{\n"a": 1', "line 2, column"),
        (b'{"a": 1} {}', "Extra data"),
        (b'{"a": NaN}', "NaN is not a JSON number; write a finite number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": {"b": 1, "b": 2}}', "the key 'b' appears twice in one object; remove one"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "10000000000000000000… does not fit into a 64-bit integer"),
        (b"[" * 100_000, "is nested deeper than 50 levels"),
        (b" " * (MAX_CONFIG_BYTES + 1), "is 1.0 MB; a config has at most 1 MB"),
        (b'{"a": "' + b"x" * 5_000_000 + b'"}', "is 5.0 MB; a config has at most 1 MB"),
    ],
)
def test_what_is_no_json_is_told(text: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=r"^my\.json: 1 problem") as caught:
        parse_config("my.json", text)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ('{"a": [0, {"b": 9223372036854775808}]}', "a[1].b", "9223372036854775808 does not fit into a 64-bit"),
        ('{"a": -9223372036854775809}', "a", "does not fit into a 64-bit integer"),
        ('{"a": 1e999}', "a", "does not fit into a 64-bit number"),
        ('{"a": {"b\\u0000c": 1}}', "a", "the key 'b\\x00c' contains the character NUL"),
        ('{"a": {"b": ["c", "d\\u0000"]}}', "a.b[1]", "the text 'd\\x00' contains the character NUL; remove it"),
        ('{"a": "x\\ud800y"}', "a", "the text 'x\\ud800y' contains half of a surrogate pair"),
        ('{"\\udfff": 1}', "", "the key '\\udfff' contains half of a surrogate pair"),
        ('{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "a[0][0]…", "is nested deeper than 50 levels"),
    ],
)
def test_what_no_database_keeps_is_told_with_its_path(text: str, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config("file", text.encode())
    (problem,) = caught.value.problems
    assert problem.path == path
    assert message in problem.message
    assert str(caught.value).encode()  # it can be printed


def test_fifty_levels_are_deep_enough_for_anyone() -> None:
    text = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parse_config("file", text) == json.loads(text)


def test_all_that_no_database_keeps_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config("file", b'{"a": 99999999999999999999, "b": [1e999], "c\\u0000": 1}')
    assert [problem.path for problem in caught.value.problems] == ["a", "b[0]", ""]


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b"[1]", "a list"), (b'"x"', "a string"), (b"null", "null"), (b"true", "true"), (b"1", "a number")],
)
def test_only_an_object_is_a_config(text: bytes, kind: str) -> None:
    with pytest.raises(InvalidInput, match=rf"must be a JSON object {{…}}, not {kind}"):
        parse_object("file", text)


@pytest.mark.parametrize(("word", "near"), [("cosin", "cosine"), ("Step", "step"), ("zzz", None), ("", None)])
def test_the_nearest_word_is_one_that_is_alike(word: str, near: str | None) -> None:
    assert nearest(word, ["cosine", "step", "linear"]) == near

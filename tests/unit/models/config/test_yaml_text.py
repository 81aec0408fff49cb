from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitorch_service.cli.parameters.arguments import read_config
from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.validation import parse_config


def test_merged_keys_stand_for_no_more_than_a_config_holds() -> None:
    """They are copied while the text is loaded: each of these lines doubles them."""
    doubled = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
    with pytest.raises(InvalidInput, match="merged keys stand for more than 200000 values"):
        parse_config("my.yml", f"a0: &a0 {{k: 1}}\n{doubled}".encode())
    assert parse_config("my.yml", b"a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\n") == {
        "a": {"k": 1, "l": 2},
        "b": {"k": 1, "l": 3},
    }


def test_the_values_are_those_of_json() -> None:
    text = b"""
    # the first line
    model: &m {name: resnet18, input_size: 32}
    lr_scheduler: {base_lr: 5e-4}   # a number, as in YAML 1.2
    swa: null
    precision: on   # no boolean
    tags: [yes, 1_0, 0o17, .5, true]
    other: *m
    """
    assert parse_config("my.yml", text) == {
        "model": {"name": "resnet18", "input_size": 32},
        "lr_scheduler": {"base_lr": 0.0005},
        "swa": None,
        "precision": "on",
        "tags": ["yes", 10, 15, 0.5, True],
        "other": {"name": "resnet18", "input_size": 32},
    }


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e9, 1e9)
    | st.text("a :-#'\"\n{é", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:-é", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_json_is_yaml(value: object) -> None:
    text = json.dumps(value).encode()
    assert parse_config("a.yaml", text) == parse_config("a.json", text)


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefg")
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\nb: 2", "line 2, column 2: expected ',' or ']'"),
        ("a: 1\na: 2", 'line 2, column 1: found duplicate key "a"'),
        ("a: .inf", "a: inf is not a number; write a finite one"),
        ("when: 2024-01-01", "when: 2024-01-01 is a date; write it as text, in quotes"),
        ("1: x", "the key 1 is no text; write it in quotes"),
        ("a: !!set {x}", "a: is of the kind"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: &a [*a]", "use no anchors"),
        (_BOMB, "use no anchors"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("- 1", "must be a JSON object"),
        ("\t- x", "found character"),
        ("a: 99999999999999999999", "does not fit into a 64-bit integer"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_config(str(tmp_path / "c.yaml"))
    assert problem in str(caught.value)

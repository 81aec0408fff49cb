"""The arguments of a script on pairs of sets: what people write, and what the script gets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mitorch_service.backends.optional import DataAsset
from mitorch_service.errors import InvalidInput
from mitorch_service.interop.azureml_datasets.run_arguments import create_args, launch_command, ordered
from mitorch_service.interop.azureml_datasets.script_start import script_words


def an_asset(name: str, kind: str) -> DataAsset:
    return DataAsset(name, "1", kind, None, None)


def test_names_versions_and_objects_of_the_sdk_are_taken() -> None:
    made = create_args([("images", "labels:2")], [(SimpleNamespace(name="t", version=3), "u")], {"lr": 0.1})
    assert [[str(one) for one in pair] for pair in (*made.train_sets, *made.test_sets)] == [
        ["images", "labels:2"],
        ["t:3", "u"],
    ]
    assert create_args(("images", "labels")).train_sets == create_args([["images", "labels"]]).train_sets
    assert made.params == {"lr": 0.1}


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ([], "names no set: write"),
        ("images", "must be a list of pairs"),
        ([("images",)], "[0]: must be a pair"),
        ([("images", "labels:x")], "the version 'x' is not a number"),
        ([("images", 7)], "must be NAME, NAME:VERSION or a registered data set"),
    ],
)
def test_what_are_no_pairs_is_told(sets: object, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_args(sets)
    assert words in str(caught.value)


def test_pairs_are_taken_in_either_order() -> None:
    for images, labels in (("file", "tabular"), ("uri_folder", "mltable"), ("uri_folder", "uri_file")):
        pair = an_asset("i", images), an_asset("l", labels)
        assert ordered(*pair) == ordered(*reversed(pair)) == pair
    with pytest.raises(InvalidInput, match="a is of kind file and b of kind file: one must hold images"):
        ordered(an_asset("a", "file"), an_asset("b", "file"))


def test_the_script_gets_paths_and_words(tmp_path: Path) -> None:
    root, mount = tmp_path / "container", tmp_path / "mount"
    for name in ("label_sets/a.csv", "label_sets/b.csv", "imagesets/sea/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    mount.mkdir()
    tables = {"train_sets": ["label_sets/a.csv", "label_sets/b.csv"], "test_sets": ["label_sets/a.csv"]}
    command = launch_command("train.py", "label_sets/a.csv", tables, "main")
    assert command[:3] == ["python", "-m", "mitorch_service.interop.azureml_datasets.script_start"]
    place = command.index("{train}")
    given = [*command[3:place], str(root / "label_sets" / "a.csv"), *command[place + 1 : -1], "--lr=0.1", "--by=-3"]
    a, b = (str(root / "label_sets" / f"{name}.csv") for name in "ab")
    pairs = [a, str(mount), b, str(mount)]
    assert script_words(given, mount) == [
        *("train.py", "--train_sets", *pairs, "--test_sets", a, str(mount)),
        *("--lr", "0.1", "--by=-3"),
    ]
    assert all((mount / before / "imagesets/sea/1.png").is_file() for before in ("", "main"))

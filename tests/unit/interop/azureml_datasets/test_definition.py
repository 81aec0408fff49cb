"""The places of a set: as the SDKs store them, and as they stored them earlier."""

from __future__ import annotations

import json

import pytest

from mitorch_service.errors import DataError
from mitorch_service.interop.azureml_datasets.definition import AssetDefinition, AssetPlace, of_path, parse_definition

WHERE = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/data/paths"
STORED = f"""---
type: mltable
paths:
  - pattern: "{WHERE}/label_sets/x.csv"
transformations:
  - read_delimited:
      path_column: Path
      encoding: iso88591
      delimiter: ";"
metadata:
  infer_column_types: "False"
"""
OLD = {
    "blocks": [
        {
            "type": "Microsoft.DPrep.GetDatastoreFilesBlock",
            "arguments": {"datastores": [{"datastoreName": "data", "path": "label_sets/x.csv"}]},
        },
        {"type": "Microsoft.DPrep.ParseDelimitedBlock", "arguments": {"separator": "\t"}},
    ]
}


def test_what_dataprep_stores_is_read() -> None:
    place = AssetPlace("data", "label_sets/x.csv")
    assert parse_definition("x", STORED) == AssetDefinition((place,), ";", "latin-1")
    assert parse_definition("x", json.dumps(OLD)) == AssetDefinition((place,), "\t")


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("imagesets/a/**", "imagesets/a"),
        ("imagesets/a/", "imagesets/a"),
        ("imagesets/a", "imagesets/a"),
        ("imagesets/a/1.jpg", "imagesets/a"),
        ("imagesets/*/x?.jpg", "imagesets"),
        ("**", ""),
    ],
)
def test_a_place_has_a_folder(path: str, folder: str) -> None:
    assert of_path("x", f"{WHERE}/{path}").places[0].folder == folder


def test_relative_paths_of_an_asset_start_from_it() -> None:
    text = "paths:\n - file: ./a.csv\n - file: ../b.csv\n"
    paths = [place.path for place in parse_definition("x", text, "azureml://data/sets/one").places]
    assert paths == ["sets/one/a.csv", "sets/b.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paths: []", "names no paths"),
        ("a: [", "is not YAML"),
        ("paths:\n - file: https://host/a.csv", "https://host/a.csv is in no datastore"),
        ("paths:\n - {}", "nothing is in no datastore"),
        ("{}", "in no form that is known"),
        ("{", "in no form that is known"),
    ],
)
def test_what_is_no_definition_is_told(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        parse_definition("x", text)

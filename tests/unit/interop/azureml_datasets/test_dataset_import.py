"""Pairs of a workspace become the splits of a data set, or are told why not; nothing is written then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from mitorch_service.backends.optional import DataAsset, DataAssets
from mitorch_service.cli.dataset_commands.register import register
from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.interop.azureml_datasets.asset_reader import AssetReader
from mitorch_service.interop.azureml_datasets.dataset_import import Pair, PairImport, Pairing
from mitorch_service.interop.azureml_datasets.definition import parse_definition
from mitorch_service.interop.azureml_datasets.label_table import read_label_table
from mitorch_service.interop.azureml_datasets.parquet_table import parquet_lines
from mitorch_service.models.dataset import DatasetRef

OBJECT = "\"[{'type': 'bag', 'bottomX': 0, 'topX': 4, 'bottomY': 0, 'topY': 4}]\""
HALF = Pairing(val_every=2)
PAIR = Pair(DatasetRef(name="images"), DatasetRef(name="labels"))


@dataclass
class Workspace(DataAssets):
    """Assets by their names, and the files of the datastores."""

    paths: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)

    def data_asset(self, name: str, version: str | None) -> DataAsset:
        definition = f"paths:\n - pattern: azureml://{self.paths[name]}"
        return DataAsset(name, version or "3", "file", definition, None)

    def below(self, folder: str) -> Iterator[str]:
        return (name for name in list(self.files) if not folder or name.startswith(f"{folder}/"))

    def lines(self, name: str, encoding: str) -> Iterator[str]:
        return iter(self.files[name].splitlines())

    def content(self, name: str) -> bytes:
        return self.files[name].encode("latin-1")

    def write(self, name: str, content: bytes) -> None:
        self.files[name] = content.decode()


def workspace(*urls: str, images: str = "data/sets/a/**", objects: str = OBJECT) -> Workspace:
    files = {f"sets/a/{number}.jpg": "" for number in range(4)} | {"sets/a/extra/9.jpg": ""}
    files["labels.csv"] = "image_url,label\n" + "".join(f"{url},{objects}\n" for url in urls)
    return Workspace({"images": images, "labels": "data/labels.csv"}, files)


def made(there: Workspace, pairing: Pairing = HALF) -> dict[str, list[str]]:
    found = PairImport(AssetReader(there, lambda name: there), pairing).make("sea", [PAIR])
    assert found.imported_from == {"system": "azureml", "data": {"images": "3", "labels": "3"}}
    assert found.splits["train"].support_files[1:] == ["azureml://data/sets/a/"]
    paths = {split: one.path.removeprefix("azureml://data/") for split, one in found.splits.items()}
    return {split: there.files[path].splitlines() for split, path in paths.items()} | {"told": list(found.remarks)}


@pytest.mark.parametrize("before", ["sets/a/", "/sets/a/", "data/sets/a/", "a/", "", "main/sets/a/"])
def test_both_spellings_of_an_image_are_found(before: str) -> None:
    done = made(workspace(*(f"{before}{number}.jpg" for number in range(4))), Pairing("main", val_every=2))
    assert done["val"][1].startswith("../../../sets/a/0.jpg,0.0,0.0,4.0,4.0,bag")
    assert done["told"] == ["2 train, 2 val", "images: 1 image without a row of labels left out"]


def test_a_table_in_parquet_is_read_as_one_in_csv() -> None:
    box = {"type": "bag", "bottomX": 0, "topX": 4.5, "bottomY": 0, "topY": 4}
    urls = [f"sets/a/{number}.jpg" for number in range(4)]
    label = [[box], json.dumps([box]), str([box]), [box]]
    there = workspace()
    del there.files["labels.csv"]
    for number, column in enumerate(([label[0], label[3]], label[1:3])):
        part = pyarrow.table({"image_url": urls[2 * number :][:2], "label": column, "label_confidence": [[0.9], [0.9]]})
        written = pyarrow.BufferOutputStream()
        parquet.write_table(part, written)
        there.files[f"labels/{number}.parquet"] = written.getvalue().to_pybytes().decode("latin-1")
    there.paths["labels"] = "data/labels/*.parquet"
    done = made(there)
    assert [*done["train"][1:], *done["val"][1:]] == [
        f"../../../sets/a/{number}.jpg,0.0,0.0,4.5,4.0,bag" for number in (1, 3, 0, 2)
    ]
    there.files["labels/1.parquet"] = "image_url,label\n"
    with pytest.raises(DataError, match=r"labels/1\.parquet cannot be read as Parquet"):
        made(there)


@pytest.mark.parametrize("name", ["a\u2028b", "a\x0bb", "a\rb", "a\r\nb", "a\nb", 'a,"b'])
def test_a_row_of_parquet_ends_where_it_ends(name: str) -> None:
    written = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({"image_url": [name, "c"], "label": ["[]", "[]"]}), written)
    lines = parquet_lines("t", written.getvalue().to_pybytes(), ",")
    assert [*read_label_table("t", lines).boxes] == [name, "c"]


def test_a_class_that_labels_txt_cannot_hold_is_refused() -> None:
    there = workspace(*(f"sets/a/{number}.jpg" for number in range(4)), objects=OBJECT.replace("bag", "a\\nb"))
    before = dict(there.files)
    with pytest.raises(DataError, match=r"the class 'a\\nb' .*has a line break.*Rename it"):
        made(there)
    assert there.files == before


def test_a_definition_says_that_a_table_is_parquet() -> None:
    text = "paths:\n - file: azureml://data/labels/part-0\ntransformations:\n - read_parquet:\n    x: 1\n"
    assert [parse_definition("a", text).is_parquet, parse_definition("a", text[:42]).is_parquet] == [True, False]


def test_images_of_a_pattern_are_those_that_match() -> None:
    there = workspace("sets/a/0.jpg", "sets/a/extra/9.jpg", images="data/sets/a/*.jpg")
    with pytest.raises(InvalidInput, match=r"1 image of 2 not in images \(data/sets/a\): sets/a/extra/9.jpg"):
        made(there)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (workspace("sets/a/0.jpg", objects="[]"), "no image has an object: nothing to train on"),
        (workspace("sets/a/0.jpg", objects="7"), "line 2: sets/a/0.jpg: label is no list"),
        (workspace("sets/a/0.jpg", images="data/sets/b/**"), "has no file at sets/b/"),
        (workspace("sets/a/0.jpg"), "too few images with objects: none is left to validate"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(there: Workspace, words: str) -> None:
    before = dict(there.files)
    with pytest.raises(InvalidInput, match=words):
        made(there)
    assert there.files == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "takes DEFINITIONS, or --azureml-images with --azureml-labels"),
        (["--azureml-labels", "l"], "takes DEFINITIONS, or --azureml-images"),
        ([__file__, "--min-confidence", "0.5"], "only --cluster goes with DEFINITIONS"),
        (["--azureml-images", "i", "--min-confidence", "2"], "must be 0 or more and 1 or less (it is 2.0)"),
    ],
)
def test_options_that_do_not_fit_are_told(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(register, arguments)
    assert (done.exit_code, words in done.output) == (2, True), done.output

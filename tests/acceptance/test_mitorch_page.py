"""The page on the original MiTorch, run as a reader would."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

import pymongo
import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.documents import block

PAGE = "docs/mitorch.md"
GUID = "6b1f5c1e-0b6e-4a52-9a53-3a1c7f1f2d11"


@pytest.fixture
def reader(bare_machine: Machine, mongodb_uri: str) -> Iterator[Machine]:
    """Somebody with a MongoDB, a data set and a training."""
    name = f"mitorch_page_{os.getpid()}"
    bare_machine.environment |= {"MITORCH_DB_URI": mongodb_uri, "MITORCH_DB_NAME": name}
    write_small_digits(bare_machine.folder).rename(bare_machine.folder / "datasets.json")
    bare_machine.write("training.json", TINY_TRAINING)
    yield bare_machine
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


def test_the_five_variables(reader: Machine, mongodb_uri: str) -> None:
    out = []
    for line in (
        block(PAGE, "export MITORCH_AZURE").replace("mongodb://user:password@host:27017/", mongodb_uri).splitlines()
    ):
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            reader.environment[name] = value
        else:  # with no Azure there, nothing may ask it
            program, *arguments = shlex.split(line)
            out.append(reader.ok(program.removeprefix("mi"), *arguments))
    assert out[0] == "registered digits:1"
    assert out[1] in out[2] or out[1][:8] in out[2]


def test_a_document_of_another_program(reader: Machine, mongodb_uri: str) -> None:
    reader.ok("dataset", "register", "datasets.json")
    written = block(PAGE, "from datetime").replace("mongodb://user:password@host:27017/", mongodb_uri)
    exec(written.replace('["mitorch"]', f'["{reader.environment["MITORCH_DB_NAME"]}"]'), {})
    reader.environment["MITORCH_CLUSTERS"] = '[{"name": "local", "slots": 0}]'
    assert f"training {GUID} adopted: another program had inserted it" in reader.ok("control")
    found = reader.query(GUID)
    assert (found["status"], found["dataset"], found["priority"]) == ("new", {"name": "digits", "version": 1}, 100)

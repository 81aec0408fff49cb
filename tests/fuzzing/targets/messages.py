"""Messages of a queue and the annotations that they name, and exports of Azure ML's labels."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from mitorch_service.interop.azureml_datasets.definition import parse_definition
from mitorch_service.interop.azureml_datasets.label_table import read_label_table
from mitorch_service.interop.vott.annotations.rows import read_layout, read_rows
from mitorch_service.interop.vott.message import read_message, status_address, training_id
from mitorch_service.interop.vott.plugins import Network, Plugins
from mitorch_service.interop.vott.training_configs import network_wanted, plugin_config
from tests.fuzzing.data_sets import TABLE
from tests.fuzzing.target import Target

_MESSAGE = {
    **{"annotations": "https://h/a.csv", "model": "https://h/m?sig=x", "status": "https://h/s", "plugin": "retinanet"},
    **{"steps": 5, "tags": ["a=b"], "name": "x", "priority": 3, "batch_size": 2, "config": {"max_epochs": 2}},
}
_ROWS = b"image,x1,y1,x2,y2,class\nhttps://h/1.jpg,1,2,3,4,cat\nhttps://h/2.jpg,,,,,\n"
_DATAFLOW = {
    "blocks": [
        {"type": "DatastoreFiles", "arguments": {"datastores": [{"datastoreName": "d", "path": "a/b.csv"}]}},
        {"type": "ParseDelimited", "arguments": {"separator": ","}},
    ]
}
_MLTABLE = (
    b"paths:\n  - file: azureml://datastores/d/paths/a/b.csv\n  - pattern: ./x/*.csv\ntransformations:\n"
    b"  - read_delimited: {delimiter: ';', encoding: utf8}\n"
)


def _message(content: bytes, folder: Path) -> None:
    status_address(content)
    training_id("queue", "1", content)
    message = read_message(content)
    plugin = Plugins([folder]).find(message.plugin or "retinanet")
    if isinstance(plugin, Network):
        network_wanted(message, plugin, None)
    else:
        plugin_config(message, plugin)


def _annotations(content: bytes, folder: Path) -> None:
    file = folder / "a.csv"
    file.write_bytes(content)
    for _ in read_rows(file, "a.csv", read_layout(file, "a.csv")):
        pass


def _definition(content: bytes, folder: Path) -> None:
    text = content.decode("utf-8", "replace")
    found = parse_definition("d", text, "azureml://datastores/d/paths/x/")
    _ = [place.folder for place in found.places]
    read_label_table("d", TABLE.splitlines(True), found.delimiter)


def _label_table(content: bytes, folder: Path) -> None:
    read_label_table("d", content.decode("utf-8", "replace").splitlines(True), ",", 0.5)


_TABLE = (
    b"image_url,label,label_confidence\n"
    b"a.png,\"[{'label': 'c', 'bottomX': 1, 'topX': 2, 'bottomY': 1, 'topY': 3}]\",\"[0.9]\"\n"
)
_JSON = json.dumps(_MESSAGE).encode()
_WEB = json.dumps({"projectId": "p", "requestId": "r", "url": "https://h/a.csv"}).encode()
TARGETS = (
    Target("vott-message", _message, (_JSON, base64.b64encode(_JSON), _WEB)),
    Target(
        "vott-annotations",
        _annotations,
        (_ROWS, b"https://h/1.jpg,1,2,3,4,cat\n", b"url,x,y,w,h,tag\nhttps://h/1,1,2,3,4,c\n"),
    ),
    Target("azureml-definition", _definition, (_MLTABLE, json.dumps(_DATAFLOW).encode()), (b"<<: ", b"&a", b"*a")),
    Target("azureml-label-table", _label_table, (_TABLE, TABLE.encode()), (b"{[]: 1}", b"1" * 400)),
)

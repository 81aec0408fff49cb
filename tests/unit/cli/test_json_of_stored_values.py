"""Whatever a database holds is printed as JSON: somebody may have written it by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from mitorch_service.cli.views.pages.output import show_json, stream_json

STORED = {
    "_id": ObjectId("0123456789abcdef01234567"),
    "bytes": b"\x00\xff",
    "uuid": Binary(bytes(range(16)), 4),
    "decimal": Decimal128("0.1"),
    "long": Int64(2**40),
    "regex": Regex("^a", "i"),
    "time": datetime(2026, 1, 2, tzinfo=UTC),
    "timestamp": Timestamp(5, 1),
    "code": Code("x + 1"),
    "reference": DBRef("jobs", 1),
    "lowest": MinKey(),
    "highest": MaxKey(),
    "nan": float("nan"),
    "list": [ObjectId("0123456789abcdef01234567"), [b"a"]],
}


def test_every_type_of_bson_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    options = bson.CodecOptions[dict[str, object]](tz_aware=True)
    document = bson.decode(bson.encode(STORED), options)
    show_json(document)
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() == STORED.keys()
    assert (shown["_id"], shown["bytes"], shown["decimal"]) == ("0123456789abcdef01234567", "00ff", "0.1")
    assert (shown["long"], shown["time"], shown["nan"]) == (2**40, "2026-01-02T00:00:00.000+00:00", "nan")
    stream_json([("one", document), ("many", iter([document]))])
    streamed = json.loads(capsys.readouterr().out)
    assert streamed == {"one": shown, "many": [shown]}

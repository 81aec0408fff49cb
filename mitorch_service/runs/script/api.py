"""The functions that a script calls, exported by `mitorch_service`. Imports only the standard library, so that they
cost a script nothing.

Each call sends one line of JSON over the loopback interface to the run that started the script, and reads one back. It
works from any thread, and from any process that inherits the environment.
"""

from __future__ import annotations

import csv
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

ADDRESS = "MITORCH_REPORT"  # host:port:token, set by the run
CHECKPOINT = "MITORCH_CHECKPOINT"
PARAMETERS = "MITORCH_PARAMETERS"
OUTPUT = "MITORCH_OUTPUT"
MAX_EPOCH = 999_999
MAX_METRICS = 200
_MAX_NAME = 100
_PICTURES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}
_FORBIDDEN = re.compile(r"[.$\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and halves of characters
_CONNECT_SECONDS = 60.0


def report(
    epoch: int,
    train_loss: SupportsFloat | None = None,
    val_loss: SupportsFloat | None = None,
    metrics: Mapping[str, SupportsFloat] | None = None,
    learning_rate: SupportsFloat | None = None,
) -> None:
    """Records the result of an epoch (a whole number from 0 to 999999); a second report of the same epoch overwrites
    the first. The last report becomes the training's evaluation, and a trial's value. Does nothing when the script runs
    by hand. Raises ValueError for a value that cannot be recorded, ConnectionError when the run is gone."""
    values = {"train_loss": train_loss, "val_loss": val_loss, "learning_rate": learning_rate}
    numbers = {name: None if value is None else checked_number(name, value) for name, value in values.items()}
    _call({"verb": "report", "epoch": checked_epoch(epoch), "metrics": checked_metrics(metrics or {}), **numbers})


def checkpoint(path: str | os.PathLike[str]) -> bool:
    """Stores a copy of the file or folder, from which a later attempt resumes (`last_checkpoint`). Returns once it is
    stored; False if it could not be, or if the script runs by hand. Raises FileNotFoundError, and ConnectionError when
    the run is gone."""
    whole = Path(path).absolute()
    if not whole.exists():
        raise FileNotFoundError(f"checkpoint: {whole} does not exist")
    answer = _call({"verb": "checkpoint", "path": str(whole)})
    return bool(answer.get("stored"))


def log_image(name: str, picture: str | os.PathLike[str] | bytes) -> None:
    """Keeps a picture (a PNG or JPEG file, or its bytes) as ``name.png`` or ``name.jpg`` in MITORCH_OUTPUT: at the end
    it is among the training's artifacts, in the viewer, and on the run in Azure ML's studio. Does nothing when the
    script runs by hand. Raises ValueError for what is no such picture, OSError."""
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    suffix = next((suffix for start, suffix in _PICTURES.items() if data.startswith(start)), None)
    if suffix is None:
        raise ValueError(f"log_image: {name!r} is neither a PNG nor a JPEG picture")
    if (file := _output(name, suffix)) is not None:
        file.write_bytes(data)


def log_table(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Keeps a table as ``name.csv``, as `log_image` does a picture. `rows`: the values by column; the columns are those
    of the first row, and of what others add. Raises ValueError for no rows, OSError."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if not columns:
        raise ValueError(f"log_table: {name!r} has no rows with columns")
    if (file := _output(name, ".csv")) is not None:
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, columns)
            writer.writeheader()
            writer.writerows(rows)


def should_stop() -> bool:
    """Whether the script should store a checkpoint and exit soon, because it was canceled, its search ended it, its
    machine shuts down or the time limit of its cluster is near. Always False when the script runs by hand. Raises
    ConnectionError when the run is gone."""
    return bool(_call({"verb": "should_stop"}).get("stop"))


def last_checkpoint() -> Path | None:
    """The path of a copy of the file or folder that an earlier attempt stored last; None if there is none."""
    path = os.environ.get(CHECKPOINT)
    return Path(path) if path else None


def parameters() -> dict[str, Any]:
    """The `parameters` of the config; empty when the script runs by hand."""
    path = os.environ.get(PARAMETERS)
    found: dict[str, Any] = json.loads(Path(path).read_text("utf-8")) if path else {}
    return found


def checked_epoch(epoch: object) -> int:
    """The epoch as an int. Raises ValueError unless it is a whole number from 0 to `MAX_EPOCH`."""
    whole = _whole(epoch)
    if whole is None or not 0 <= whole <= MAX_EPOCH:
        raise ValueError(f"report: epoch must be a whole number from 0 to {MAX_EPOCH} (it is {epoch!r})")
    return whole


def checked_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """The metrics as floats. Raises ValueError for too many of them, a name that no document can hold, or a value that
    is not one number."""
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"report: at most {MAX_METRICS} metrics can be recorded (there are {len(metrics)})")
    for name in metrics:
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or _FORBIDDEN.search(name):
            raise ValueError(
                f"report: a metric's name is text without . and $ and control characters, up to {_MAX_NAME} long "
                f"(it is {name!r:.200})"
            )
    return {name: checked_number(name, value) for name, value in metrics.items()}


def checked_number(name: str, value: object) -> float:
    """The value as a float. Raises ValueError unless it is one number, or a tensor or array of one."""
    try:
        return float(value)  # type: ignore[arg-type]  # whatever has __float__
    except (TypeError, ValueError, RuntimeError, OverflowError):  # RuntimeError is torch's for a tensor of several
        raise ValueError(f"report: {name} must be one number (it is {value!r:.100})") from None


def _whole(value: object) -> int | None:
    """The value as an int if it equals one, as NumPy's and PyTorch's whole numbers do, too."""
    if isinstance(value, bool):
        return None
    try:
        whole = int(value)  # type: ignore[call-overload]  # whatever has __int__
    except (TypeError, ValueError, OverflowError):
        return None
    return int(whole) if whole == value else None


def _output(name: str, suffix: str) -> Path | None:
    """The file of this name in the output folder; None when the script runs by hand. Raises ValueError."""
    if not name or len(name) > _MAX_NAME or not all(letter.isalnum() or letter in "-_ " for letter in name):
        raise ValueError(f"a name is up to {_MAX_NAME} letters, digits, spaces, - and _ (it is {name!r})")
    folder = os.environ.get(OUTPUT)
    return Path(folder, f"{name}{suffix}") if folder else None


def _call(message: dict[str, Any]) -> dict[str, Any]:
    """The run's answer; empty when the script runs by hand. Raises ConnectionError when the run is gone."""
    address = os.environ.get(ADDRESS)
    if not address:
        return {}
    host, port, token = address.split(":")
    with socket.create_connection((host, int(port)), _CONNECT_SECONDS) as connection:
        connection.settimeout(None)  # storing a checkpoint may take long
        connection.sendall(json.dumps({**message, "token": token}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise ConnectionError("the run that started this script is gone")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer

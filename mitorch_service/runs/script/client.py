"""What a script calls: see `mitorch_service`. Only the standard library, so that it costs a script nothing.

Each call is one line of JSON to the run that has started the script, over the loopback interface, and one back: so it
works from any thread and any process that inherits the environment.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

ADDRESS = "MITORCH_REPORT"  # host:port:token, set by the run
CHECKPOINT = "MITORCH_CHECKPOINT"
PARAMETERS = "MITORCH_PARAMETERS"
MAX_EPOCH = 999_999
MAX_METRICS = 200
_MAX_NAME = 100
_CONNECT_SECONDS = 60.0


def report(
    epoch: int,
    train_loss: SupportsFloat | None = None,
    val_loss: SupportsFloat | None = None,
    metrics: Mapping[str, SupportsFloat] | None = None,
    learning_rate: SupportsFloat | None = None,
) -> None:
    """Records the result of an epoch; a second report of the same epoch overwrites the first. What was reported last
    becomes the training's evaluation, and a trial's value. Does nothing when the script runs by hand. Raises ValueError
    for what cannot be recorded."""
    values = {"train_loss": train_loss, "val_loss": val_loss, "learning_rate": learning_rate}
    numbers = {name: None if value is None else _number(name, value) for name, value in values.items()}
    _call({"verb": "report", "epoch": checked_epoch(epoch), "metrics": checked_metrics(metrics or {}), **numbers})


def checkpoint(path: str | os.PathLike[str]) -> bool:
    """Keeps a copy of the file or folder with the training, from which a later attempt goes on (`last_checkpoint`).
    Returns once it is stored; False where it could not be, or where the script runs by hand. Raises FileNotFoundError.
    """
    whole = Path(path).absolute()
    if not whole.exists():
        raise FileNotFoundError(f"checkpoint: {whole} does not exist")
    answer = _call({"verb": "checkpoint", "path": str(whole)})
    return bool(answer.get("stored"))


def should_stop() -> bool:
    """Whether the script is to end soon, because somebody wants it or its machine goes away: then keep a checkpoint
    and exit. Never, when the script runs by hand."""
    return bool(_call({"verb": "should_stop"}).get("stop"))


def last_checkpoint() -> Path | None:
    """Where the file or folder lies that an earlier attempt kept last; None in the first."""
    path = os.environ.get(CHECKPOINT)
    return Path(path) if path else None


def parameters() -> dict[str, Any]:
    """The `parameters` of the config; none when the script runs by hand."""
    path = os.environ.get(PARAMETERS)
    found: dict[str, Any] = json.loads(Path(path).read_text("utf-8")) if path else {}
    return found


def checked_epoch(epoch: int) -> int:
    """A whole number that can be recorded. Raises ValueError."""
    if isinstance(epoch, bool) or not _is_whole(epoch) or not 0 <= epoch <= MAX_EPOCH:
        raise ValueError(f"report: epoch must be a whole number from 0 to {MAX_EPOCH} (it is {epoch!r})")
    return int(epoch)


def checked_metrics(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Names and numbers that can be recorded. Raises ValueError."""
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"report: at most {MAX_METRICS} metrics can be recorded (there are {len(metrics)})")
    for name in metrics:
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or set(name) & {".", "$", "\0"}:
            raise ValueError(
                f"report: a metric's name is text without . and $, up to {_MAX_NAME} long (it is {name!r})"
            )
    return {name: _number(name, value) for name, value in metrics.items()}


def _is_whole(value: Any) -> bool:
    try:
        return bool(int(value) == value)
    except (TypeError, ValueError, OverflowError):
        return False


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # RuntimeError is torch's for a tensor of several
        raise ValueError(f"report: {name} must be one number (it is {value!r:.100})") from None


def _call(message: dict[str, Any]) -> dict[str, Any]:
    """The run's answer; empty when the script runs by hand. Raises ConnectionError when the run is gone."""
    address = os.environ.get(ADDRESS)
    if not address:
        return {}
    host, port, token = address.split(":")
    with socket.create_connection((host, int(port)), _CONNECT_SECONDS) as connection:
        connection.settimeout(None)  # a checkpoint takes its time
        connection.sendall(json.dumps({**message, "token": token}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise ConnectionError("the run that started this script is gone")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer

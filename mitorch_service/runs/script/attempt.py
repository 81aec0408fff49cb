"""The run of a script: one attempt of a training whose config has a `script` instead of a `model`."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.models.script import NO_DATASET, ScriptConfig
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.runs.script.calls import ScriptCalls
from mitorch_service.runs.script.channel import ScriptChannel
from mitorch_service.runs.script.checkpoints import Restored, ScriptCheckpoints
from mitorch_service.runs.script.client import ADDRESS, CHECKPOINT, PARAMETERS
from mitorch_service.runs.script.code_archive import fetch_code
from mitorch_service.runs.script.code_record import installed_packages
from mitorch_service.runs.script.command import Mask, script_command, script_environment
from mitorch_service.runs.script.process import Graces, ScriptEnd, ScriptProcess
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.runs import RunEnd
from mitorch_service.training.loop.reporter import Reporter

_PATIENCE = 600.0  # seconds to wait for the database
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # itself, or its child as a shell tells it
_LONGEST_REASON = 300
_MAX_OUTPUTS = 100

log = logging.getLogger("mitorch")


def run_script(
    store: Store,
    artifacts: ArtifactStore,
    dataset_files: DatasetFiles,
    training: Training,
    folder: Path,
    reporter: Reporter,
    clock: Callable[[], datetime],
    graces: Graces = Graces(),  # noqa: B008 - it is frozen
) -> RunEnd:
    """Runs the script in a copy of its code below `folder`, which is the attempt's own. What it ends with follows from
    its exit code: an error of its own is told in the RunEnd. Raises what keeps it from running: DataError,
    ArtifactError, StoreError, ValueError, OSError."""
    config = ScriptConfig.model_validate(training.config)
    work, output = folder / "code", folder / "output"
    _unpack(artifacts, config, work)
    output.mkdir()
    checkpoints = ScriptCheckpoints(artifacts, training.id, training.attempt)
    restored = checkpoints.restore(folder / "checkpoint")
    if restored is not None:
        persistently(lambda: _complete_curve(store, training, restored), _PATIENCE)
    calls = ScriptCalls(reporter, checkpoints, clock, 0 if restored is None else restored.epoch)
    with _data(store, dataset_files, training) as splits, ScriptChannel(calls.answer) as channel:
        file = _write_parameters(config, folder)
        command = script_command(config.script.command, config.parameters, {"parameters_file": file, **splits})
        given = {
            ADDRESS: channel.address,
            PARAMETERS: str(file),
            "MITORCH_TRAINING": training.id,
            "MITORCH_ATTEMPT": str(training.attempt),
            "MITORCH_OUTPUT": str(output),
            **({CHECKPOINT: str(restored.path)} if restored is not None else {}),
            **{f"MITORCH_{name.upper()}": str(path) for name, path in splits.items()},
        }
        environment = script_environment(os.environ, config.script.env, given, Path(sys.executable))
        screen = _Screen(Mask(config.script.env))
        log.info("script: %s", screen.masked(" ".join(command)))
        with ScriptProcess(command, work, environment, screen) as process:
            ended = process.wait(reporter.should_stop, lambda: calls.asks, graces)
    addresses = _addresses(artifacts, training, checkpoints, folder)
    if ended.by_signal_of_ours or (calls.told_to_stop and reporter.should_stop()):
        return RunEnd(AttemptOutcome.CANCELED, artifacts=addresses, reason="it was asked to stop")
    if ended.code != 0:
        return _failed(ended, screen.last, addresses)
    addresses |= _store_outputs(artifacts, training, output)
    return RunEnd(AttemptOutcome.COMPLETED, _evaluation(training, calls), artifacts=addresses)


class _Screen:
    """Shows what the script prints in the log, and remembers the last line."""

    def __init__(self, masked: Mask) -> None:
        self.masked = masked
        self._lines: deque[str] = deque(maxlen=1)

    def __call__(self, line: str) -> None:
        shown = self.masked(line)
        if shown.strip():
            self._lines.append(shown.strip())
        log.info("%s", shown)

    @property
    def last(self) -> str:
        return self._lines[-1] if self._lines else ""


def _unpack(artifacts: ArtifactStore, config: ScriptConfig, work: Path) -> None:
    if config.script.code is None:
        work.mkdir()
    else:
        fetch_code(artifacts, config.script.code.digest, work)


def _complete_curve(store: Store, training: Training, restored: Restored) -> None:
    """Records the epochs that were reported before the checkpoint, but not recorded when their run was killed."""
    recorded = {result.epoch for result in store.runs.curve(training.id).items}
    for result in restored.results:
        if result.epoch <= restored.epoch and result.epoch not in recorded:
            store.runs.record_epoch(training.id, training.attempt, training.max_epochs, result)


@contextmanager
def _data(store: Store, dataset_files: DatasetFiles, training: Training) -> Iterator[Mapping[str, Path]]:
    """Each split's text file; none without a data set."""
    if training.dataset == NO_DATASET:
        yield {}
        return
    dataset = persistently(lambda: store.datasets.get_dataset(training.dataset), _PATIENCE)
    with dataset_files.at_hand(dataset) as paths:
        yield paths


def _write_parameters(config: ScriptConfig, folder: Path) -> Path:
    file = folder / "parameters.json"
    file.write_text(json.dumps(config.parameters, ensure_ascii=False), "utf-8")
    return file


def _addresses(
    artifacts: ArtifactStore, training: Training, checkpoints: ScriptCheckpoints, folder: Path
) -> dict[str, str]:
    """The last checkpoint, and the Python and packages of this machine."""
    file = folder / "environment.txt"
    file.write_text("\n".join([f"python=={platform.python_version()}", *installed_packages(), ""]), "utf-8")
    address = artifacts.put(f"{training.id}/attempt-{training.attempt}/environment.txt", file)
    return {"environment": address, **({"checkpoint": checkpoints.address} if checkpoints.address else {})}


def _store_outputs(artifacts: ArtifactStore, training: Training, output: Path) -> dict[str, str]:
    """What the script has left in its output folder: where that is stored. Of a great many files the first."""
    files = sorted(path for path in output.rglob("*") if path.is_file())
    if len(files) > _MAX_OUTPUTS:
        log.warning("%d files in MITORCH_OUTPUT: only the first %d are stored", len(files), _MAX_OUTPUTS)
    address = None
    for path in files[:_MAX_OUTPUTS]:
        name = path.relative_to(output).as_posix()
        stored = artifacts.put(f"{training.id}/attempt-{training.attempt}/output/{name}", path)
        address = address or stored.removesuffix(f"/{name}")
    return {"output": address} if address else {}


def _failed(ended: ScriptEnd, last_line: str, addresses: Mapping[str, str]) -> RunEnd:
    if ended.code in _KILLED:
        message = "the script was killed by SIGKILL: often the machine ran out of memory"
        error = TrainingErrorInfo(type="ScriptKilled", message=message)
        return RunEnd(AttemptOutcome.LOST, error=error, artifacts=addresses, reason=message)
    how = f"ended with exit code {ended.code}" if ended.code > 0 else f"was ended by {_signal_name(-ended.code)}"
    message = f"the script {how}" + (f"; its last line: {last_line[:_LONGEST_REASON]}" if last_line else "")
    log.error("%s", message)
    error = TrainingErrorInfo(type="ScriptFailed", message=message)
    return RunEnd(AttemptOutcome.FAILED, error=error, artifacts=addresses, reason=message)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal has no name


def _evaluation(training: Training, calls: ScriptCalls) -> dict[str, float] | None:
    """What was reported last. The training loss only where it is what counts: nothing was measured, or it is an
    objective."""
    if not calls.recent:
        return None
    last = calls.recent[-1]
    measured = {**({} if last.val_loss is None else {"val_loss": last.val_loss}), **last.metrics}
    wanted = training.trial is not None and "train_loss" in training.trial.all_objectives()
    if not math.isnan(last.train_loss) and (wanted or not measured):
        measured["train_loss"] = last.train_loss
    return measured

"""One attempt of a training by the user's own script: its config has a `script` instead of a `model`."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError
from mitorch_service.inherited_settings import MARK, close_settings_fd
from mitorch_service.models.config.script import NO_DATASET, ScriptConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training
from mitorch_service.runs.attempt_end import finished
from mitorch_service.runs.bounded_log import OF_SCRIPT
from mitorch_service.runs.context import END_PATIENCE, START_PATIENCE, AttemptContext
from mitorch_service.runs.delivery import Upload, Work, deliver
from mitorch_service.runs.resume import complete_curve
from mitorch_service.runs.script.api import ADDRESS, CHECKPOINT, PARAMETERS
from mitorch_service.runs.script.calls import ScriptCalls
from mitorch_service.runs.script.channel import ScriptChannel
from mitorch_service.runs.script.code_archive import fetch_code
from mitorch_service.runs.script.code_record import installed_packages
from mitorch_service.runs.script.command import Mask, script_command, script_environment
from mitorch_service.runs.script.process import Graces, ScriptProcess
from mitorch_service.runs.script.script_checkpoints import Restored, ScriptCheckpoints
from mitorch_service.runs.script.script_ends import failed_script, hung, limited, stopped
from mitorch_service.runs.silence import Silence
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.training.loop.checkpoints.checkpoint_request import CheckpointRequest

_MAX_OUTPUTS = 100

log = logging.getLogger("mitorch")


def run_script(context: AttemptContext, reporter: StoreReporter) -> RunEnd:
    """Runs the script in a copy of its code below the attempt's folder. Its exit code decides how it ends; an error of
    its own is in the returned end. Raises what keeps it from running: DataError, ArtifactError, StoreError, ValueError,
    OSError."""
    close_settings_fd()  # the script could read it
    training, folder = context.training, context.folder
    config = ScriptConfig.model_validate(training.config)
    _unpack(context.artifacts, config, folder / "code")
    output = folder / "output"
    output.mkdir()
    checkpoints = ScriptCheckpoints(context.artifacts, training.id, training.attempt)
    restored = _restore(context, checkpoints)
    request = context.checkpoint or CheckpointRequest()
    calls = ScriptCalls(reporter, checkpoints, context.clock, 0 if restored is None else restored.epoch, request)
    silence = Silence(config.max_silence)
    screen = _Screen(Mask(config.script.env), silence.heard)
    with _splits(context) as splits, ScriptChannel(silence.around(calls.answer)) as channel:
        variables = {ADDRESS: channel.address, **_variables(training, output, splits)}
        command, environment = _command(config, folder, splits, variables, restored)
        log.info("script: %s", screen.masked(" ".join(command)))
        with ScriptProcess(command, folder / "code", environment, screen) as process, request.while_training():
            silence.begin(process.processor_seconds)
            ended = process.wait(reporter.should_stop, lambda: calls.asks, Graces(), silence.is_too_long)
    artifacts = {"checkpoint": checkpoints.address} if checkpoints.address else {}
    uploads = [_record(context)]
    epochs = calls.recent[-1].epoch if calls.recent else 0 if restored is None else restored.epoch
    if ended.by_signal_of_ours or (calls.told_to_stop and reporter.should_stop()):
        end = stopped(context, reporter.decision, checkpoints, artifacts)
    elif ended.was_silent:
        end = hung(silence.max_seconds, artifacts)
    elif calls.told_of_limit and not 0 < training.max_epochs <= epochs:  # else it has done its work
        end = limited(artifacts)
    elif ended.code != 0:
        end = failed_script(ended, screen.last, artifacts)
    else:
        last = _last_result(context, calls)
        epochs = 0 if last is None else last.epoch
        evaluation = _evaluation(training, last)
        context.node.training_ended(evaluation or {}, output)
        end = finished(training, evaluation, artifacts)
        uploads += _outputs(context, output)
    return _delivered(context, Work(end, uploads, epochs), reporter.keep_unwritten)


def _delivered(context: AttemptContext, work: Work, keep_results: Callable[[], bool]) -> RunEnd:
    """The end with the addresses of its files; what a canceled or failed script has left is worth no waiting."""
    if work.end.outcome in (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED, AttemptOutcome.PAUSED):
        return deliver(context, work, keep_results)
    keep_results()
    try:
        return work.deliver(context.artifacts)
    except ArtifactError as error:
        log.warning("%s", error)
        return work.end


class _Screen:
    """Copies the script's output to the log, and remembers the last line."""

    def __init__(self, masked: Mask, heard: Callable[[], None]) -> None:
        self.masked = masked
        self._heard = heard
        self._lines: deque[str] = deque(maxlen=1)

    def __call__(self, line: str) -> None:
        self._heard()
        shown = self.masked(line)
        if shown.strip():
            self._lines.append(shown.strip())
        log.info("%s", shown, extra=OF_SCRIPT)

    @property
    def last(self) -> str:
        return self._lines[-1] if self._lines else ""


def _unpack(artifacts: ArtifactStore, config: ScriptConfig, work: Path) -> None:
    if config.script.code is None:
        work.mkdir()
    else:
        fetch_code(artifacts, config.script.code.digest, work)


def _restore(context: AttemptContext, checkpoints: ScriptCheckpoints) -> Restored | None:
    """Fetches the newest checkpoint, and records the results of the epochs before it."""
    restored = checkpoints.restore(context.folder / "checkpoint")
    if restored is not None:
        whole = [result for result in restored.results if result.epoch <= restored.epoch]
        persistently(lambda: complete_curve(context.store, context.training, whole), START_PATIENCE)
    return restored


def _command(
    config: ScriptConfig,
    folder: Path,
    splits: Mapping[str, Path],
    variables: Mapping[str, str],
    restored: Restored | None,
) -> tuple[list[str], dict[str, str]]:
    """Returns the command with its parameters filled in, and its environment: `variables`, and what it resumes from."""
    parameters = _write_parameters(config, folder)
    command = script_command(config.script.command, config.parameters, {"parameters_file": parameters, **splits})
    variables = {**variables, PARAMETERS: str(parameters)}
    if restored is not None:
        variables[CHECKPOINT] = str(restored.path)
    return command, script_environment(os.environ, config.script.env, variables, Path(sys.executable))


@contextmanager
def _splits(context: AttemptContext) -> Iterator[Mapping[str, Path]]:
    """The text file of each split; none without a data set."""
    if context.training.dataset == NO_DATASET:
        yield {}
        return
    with context.dataset_files.local_paths(context.get_dataset()) as paths:
        yield paths


def _variables(training: Training, output: Path, splits: Mapping[str, Path]) -> dict[str, str]:
    return {
        "MITORCH_TRAINING": training.id,
        "MITORCH_ATTEMPT": str(training.attempt),
        "MITORCH_OUTPUT": str(output),
        **({MARK: os.environ[MARK]} if MARK in os.environ else {}),
        **{f"MITORCH_{name.upper()}": str(path) for name, path in splits.items()},
    }


def _write_parameters(config: ScriptConfig, folder: Path) -> Path:
    file = folder / "parameters.json"
    file.write_text(json.dumps(config.parameters, ensure_ascii=False), "utf-8")
    return file


def _record(context: AttemptContext) -> Upload:
    """The Python version and packages of this machine."""
    file = context.folder / "environment.txt"
    file.write_text("\n".join([f"python=={platform.python_version()}", *installed_packages(), ""]), "utf-8")
    return Upload("environment", f"{_prefix(context)}environment.txt", file)


def _prefix(context: AttemptContext) -> str:
    return f"{context.training.id}/attempt-{context.training.attempt}/"


def _outputs(context: AttemptContext, output: Path) -> list[Upload]:
    """The files of the script's output folder, up to a limit."""
    files = sorted(path for path in output.rglob("*") if path.is_file())
    if len(files) > _MAX_OUTPUTS:
        log.warning("%d files in MITORCH_OUTPUT: only the first %d are stored", len(files), _MAX_OUTPUTS)
    names = {path: path.relative_to(output).as_posix() for path in files[:_MAX_OUTPUTS]}
    start = f"{_prefix(context)}output/"
    return [Upload("output", start + name, path, suffix=f"/{name}") for path, name in names.items()]


def _last_result(context: AttemptContext, calls: ScriptCalls) -> EpochResult | None:
    """The last report; of a script that had none left to make when it resumed, the last that is recorded."""
    if calls.recent:
        return calls.recent[-1]
    return persistently(lambda: context.store.runs.last_result(context.training.id), END_PATIENCE)


def _evaluation(training: Training, last: EpochResult | None) -> dict[str, float] | None:
    """The last reported numbers; the training loss only if it is an objective, or if nothing else was reported."""
    if last is None:
        return None
    measured = {**({} if last.val_loss is None else {"val_loss": last.val_loss}), **last.metrics}
    wanted = training.trial is not None and "train_loss" in training.trial.all_objectives()
    if last.train_loss is not None and (wanted or not measured):
        measured["train_loss"] = last.train_loss
    return measured

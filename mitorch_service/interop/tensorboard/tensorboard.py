"""Reads runs of TensorBoard: the event files of a folder, by whatever they were written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from mitorch_service.interop.foreign_run import DamagedRun, Ending, ForeignRun, FoundRun, NothingLogged, ReadOptions
from mitorch_service.interop.tensorboard.tensorboard_events import Event, first_record, read_events
from mitorch_service.interop.yaml_file import read_yaml

EXPECTED = "a folder with event files (*tfevents*) in it or below it"

_HPARAMS_FOLDER = re.compile(r"\d{9,}(\.\d+)?")  # the time, as add_hparams of PyTorch names a folder
_SPLITS = ("train", "validation", "val", "valid", "eval", "test")  # as Keras and others name one for each split
_FIRST_EVENTS = 10
_FAILURE = 2  # a status of hyper-parameters


@dataclass(frozen=True)
class _Part:
    """The event files of one folder, in their order."""

    files: Sequence[Path]
    prefix: str = ""  # of its tags
    suffix: str = ""
    is_hparams: bool = False


def find_runs(path: Path, options: ReadOptions) -> Iterator[FoundRun]:
    """Yields a run for each folder with event files. A folder that `add_scalars` or `add_hparams` made, or that is for
    a split of the data, belongs to the run in the folder above."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*tfevents*") if file.is_file())
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    runs: dict[Path, list[_Part]] = {}
    for folder, inside in by_folder.items():
        owner, part = _place(folder, inside, by_folder, path)
        runs.setdefault(owner, []).append(part)
    for folder, parts in runs.items():
        parts.sort(key=lambda part: (part.is_hparams, bool(part.suffix), part.prefix))
        yield FoundRun(str(folder), _key(parts), partial(_read, folder, path, parts))


def _place(folder: Path, files: Sequence[Path], folders: Mapping[Path, object], top: Path) -> tuple[Path, _Part]:
    """The folder of the run that a folder belongs to, and its part in it."""
    if folder == top:
        return folder, _Part(files)
    above = folder.parent
    if above in folders and _HPARAMS_FOLDER.fullmatch(folder.name):
        return above, _Part(files, is_hparams=True)
    owner = next((one for one in folder.parents if one in folders), None)
    tag = None if owner is None else _first_tag(files[0])
    if owner is not None and tag is not None:
        path = folder.relative_to(owner).as_posix()
        for begin in (f"{tag.replace('/', '_')}_", f"{tag}/"):  # of PyTorch, of tensorboardX
            if path.startswith(begin):
                return owner, _Part(files, suffix=f"/{path.removeprefix(begin)}")
    if folder.name in _SPLITS and any(above / split in folders for split in _SPLITS if split != folder.name):
        return above, _Part(files, prefix=f"{folder.name}/")
    return folder, _Part(files)


def _first_tag(file: Path) -> str | None:
    try:
        events = list(islice(read_events(file), _FIRST_EVENTS))
    except (DamagedRun, OSError):
        return None
    return next((tag for event in events for tag, _ in event.scalars), None)


def _key(parts: Sequence[_Part]) -> str | None:
    """The name of the first file, which has the time and machine, and the exact time of its first event: the same
    wherever the folder lies."""
    file = parts[0].files[0]
    try:
        first = first_record(file)
    except (DamagedRun, OSError):
        return None
    return None if first is None else f"{file.name}:{first.data[:16].hex()}"


def _read(folder: Path, top: Path, parts: Sequence[_Part]) -> ForeignRun:
    name = folder.relative_to(top).as_posix() if folder.is_relative_to(top) and folder != top else folder.name
    run = ForeignRun(id=name, name=name)
    times: list[float] = []
    for part in parts:
        for file in part.files:
            for event in read_events(file):
                if event.at:
                    times = [min([event.at, *times]), max([event.at, *times])]
                _take(run, event, part)
    if not run.curves and not run.parameters and not run.finals:
        raise NothingLogged("it has no scalars and no hyper-parameters")
    if times:
        run.started_at, run.ended_at = (datetime.fromtimestamp(seconds, UTC) for seconds in times)
    _read_lightning_parameters(folder, run)
    return run


def _take(run: ForeignRun, event: Event, part: _Part) -> None:
    if event.is_restart and not part.is_hparams:
        run.curves.drop_from(event.step)
    for tag, value in event.scalars:
        if part.is_hparams:
            run.finals[tag] = value
        else:
            run.curves.add(f"{part.prefix}{tag}{part.suffix}", event.step, value, event.at)
    run.parameters |= event.parameters
    run.left_out.update(event.others)
    if event.status == _FAILURE:
        run.ending, run.reason = Ending.FAILED, "its hyper-parameters end with the status FAILURE"


def _read_lightning_parameters(folder: Path, run: ForeignRun) -> None:
    """Adds the hyper-parameters that PyTorch Lightning writes beside the events; they may hold objects of Python."""
    file = folder / "hparams.yaml"
    try:
        found = read_yaml(file) if file.is_file() else None
    except DamagedRun:
        run.left_out["hparams.yaml that cannot be read"] += 1
        return
    run.parameters |= found if isinstance(found, dict) else {}

"""Checks that a run's machine and the artifact store can be written, that it sees its GPUs, and that the storage of its
data set lets it read: what cannot be is no training's fault."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import ArtifactError, DataError, DataRefused, MachineTrouble
from mitorch_service.models.dataset import Dataset
from mitorch_service.training.torch_imports import heavy_imports
from mitorch_service.wording.counted import counted

_ROOM = 256 << 10  # bytes that must fit on the disk of the temporary folder
_REMEDY = "Make room on its disk, make it writable, or name another one in TMPDIR"


def check_machine(artifacts: ArtifactStore, folder: Path) -> None:
    """Writes a file into the folder, and one into the artifact store. Raises MachineTrouble if one of them fails."""
    check_folder(folder)
    try:
        artifacts.check()
    except ArtifactError as error:
        raise MachineTrouble(f"the artifact store {error.where} cannot be written: {error.problem}") from error


def check_gpus(wanted: int) -> None:
    """Raises MachineTrouble if PyTorch sees fewer GPUs than the training is to have: on a CPU it would take days, and
    cost as much. Without PyTorch, which a script may not need, nothing is checked."""
    if wanted <= 0:
        return
    try:
        with heavy_imports():
            from mitorch_service.training.device import count_gpus
    except ModuleNotFoundError:
        return
    seen = count_gpus()
    if seen < wanted:
        remedy = "Name an image with CUDA as the cluster's environment (none: ours), or check the driver of its nodes"
        raise MachineTrouble(f"its process sees {seen} of {counted(wanted, 'GPU')} that it is to have. {remedy}")


def check_data_access(files: DatasetFiles, dataset: Dataset) -> None:
    """Asks the storage of a data set. Raises MachineTrouble if it refuses the credential; every other problem with the
    data is found when it is loaded."""
    try:
        files.check_access(dataset)
    except DataRefused as error:
        raise data_trouble(error) from error
    except (DataError, ArtifactError):
        return


def data_trouble(error: DataRefused) -> MachineTrouble:
    """Returns the trouble that the refusal of a data set's storage means."""
    remedy = "With a new SAS token, register the same version again (midataset register)"
    return MachineTrouble(f"its data set cannot be read: {error} {remedy}", of_data=True)


def check_folder(folder: Path) -> None:
    """Writes a file into a folder of temporary files. Raises MachineTrouble."""
    trial = folder / f".room-{os.getpid()}"
    try:
        with trial.open("wb") as file:
            file.write(bytes(_ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise folder_trouble(error) from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def folder_trouble(error: OSError) -> MachineTrouble:
    """Returns the trouble that an error in writing temporary files means."""
    where = f" {error.filename}" if error.filename else ""
    return MachineTrouble(f"the temporary folder{where} cannot be written ({error.strerror or error}). {_REMEDY}")


def find_trouble(artifacts: ArtifactStore, folder: Path) -> MachineTrouble | None:
    """Returns the trouble that can have ended an attempt, or None. The attempt's own files are deleted first, but for
    its log: what only they have filled is no one else's trouble."""
    try:
        for path in folder.iterdir():
            if path.name != "log.txt":
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        Path(tempfile.gettempdir()).mkdir(exist_ok=True)  # which may have been among them
        check_machine(artifacts, folder)
    except OSError as error:
        return folder_trouble(error)
    except MachineTrouble as trouble:
        return trouble
    return None

"""Writes the winners of a settings file into obdb's folders on this machine, once they have ended.

Which results are expected stands in files of this machine's home, because the folders are this machine's, wherever the
trainings run. An entry goes when its result was written: whoever is killed before that leaves it to the next.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import MiTorchError, NotFound, StoreUnavailable
from mitorch_service.file_access import FileAccess
from mitorch_service.models.base import Document
from mitorch_service.models.config.obdb import optimal_settings
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS, JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store

_EVENTS = "events.out.tfevents."  # how the names of TensorBoard's files begin


class Expected(Document):
    """The results of one settings file that have not been written."""

    save_dir: str | None  # for weights and settings
    writer_dir: str | None  # for TensorBoard's events
    jobs: dict[str, str] = {}  # ids by variant
    trainings: dict[str, str] = {}


@dataclass(frozen=True)
class Winner:
    """The training whose weights a variant has in the end."""

    training: Training
    value: float | None  # of the search's objective, or its validation loss


def expect_results(
    folder: Path,
    access: FileAccess,
    save_dir: str | None,
    writer_dir: str | None,
    documents: Mapping[str, Training | Job],
) -> list[str]:
    """Notes in `folder` that the results of the documents, by variant, go to the folders of obdb that are on this
    machine; returns remarks on those that are not."""
    save, writer = (one if one is not None and _is_here(Path(one)) else None for one in (save_dir, writer_dir))
    if save is not None or writer is not None:
        expected = Expected(
            save_dir=save,
            writer_dir=writer,
            jobs={name: one.id for name, one in documents.items() if isinstance(one, Job)},
            trainings={name: one.id for name, one in documents.items() if isinstance(one, Training)},
        )
        access.make_folder(folder)
        key = hashlib.sha256("".join(one.id for one in documents.values()).encode()).hexdigest()[:16]
        _write_text(folder / f"{key}.json", expected.model_dump_json())
    given = (("save_dir", save_dir, save), ("writer_dir", writer_dir, writer))
    return [
        f"{name} {asked} is not a folder of this machine: the results stay in the artifact store"
        for name, asked, found in given
        if asked is not None and found is None
    ]


def _is_here(folder: Path) -> bool:
    """Whether it exists or can be made beside what exists."""
    return folder.is_absolute() and folder.parent.is_dir() and folder != folder.parent


def deliver_results(store: Store, artifacts: ArtifactStore, folder: Path) -> list[str]:
    """Writes what has ended and is expected by the files in `folder`; returns a line for each variant. Does nothing
    where the database cannot be reached. A variant that cannot be written is not tried again."""
    told: list[str] = []
    for file in sorted(folder.glob("*.json")):
        try:
            told += _deliver(store, artifacts, file)
        except StoreUnavailable:
            continue
    return told


def _deliver(store: Store, artifacts: ArtifactStore, file: Path) -> list[str]:
    try:
        expected = Expected.model_validate_json(file.read_bytes())
    except OSError:  # another process was faster; or it is another user's, who will see to it
        return []
    except ValueError:
        file.replace(file.with_suffix(".damaged"))
        return [f"{file} is damaged: queue the settings file once more (nothing is queued twice) to get its results"]
    told: list[str] = []
    for kind, ids in (("job", expected.jobs), ("training", expected.trainings)):
        for variant, id in list(ids.items()):
            text = _deliver_variant(store, artifacts, expected, variant, kind, id)
            if text is not None:
                told.append(f"{variant}: {text}")
                del ids[variant]
    if not expected.jobs and not expected.trainings:
        file.unlink(missing_ok=True)
    elif told:
        _write_text(file, expected.model_dump_json())
    return told


def _deliver_variant(
    store: Store, artifacts: ArtifactStore, expected: Expected, variant: str, kind: str, id: str
) -> str | None:
    """Returns what was done, None if it has not ended."""
    try:
        found = _job_winner(store, id) if kind == "job" else _trained(store, id)
        if found is None or isinstance(found, str):
            return found
        written = _write_all(artifacts, expected, variant, found)
    except StoreUnavailable:
        raise
    except NotFound:
        return "deleted, so that nothing was written"
    except (MiTorchError, OSError) as error:
        return f"its results were not written ({error}). Remove the cause, then run misubmit with the file again."
    return f"wrote {', '.join(map(str, written))}"


def _job_winner(store: Store, id: str) -> Winner | str | None:
    job = store.jobs.get_job(id)
    if job.status not in ENDED_JOBS:
        return None
    if job.status != JobStatus.COMPLETED or job.best is None:
        return f"{job.status}, so that nothing was written"
    return Winner(store.trainings.get_training(job.best.refit or job.best.training_id), job.best.value)


def _trained(store: Store, id: str) -> Winner | str | None:
    training = store.trainings.get_training(id)
    if training.status not in ENDED:
        return None
    if training.status != TrainingStatus.COMPLETED:
        return f"{training.status}, so that nothing was written"
    return Winner(training, (training.evaluation or {}).get("val_loss"))


def _write_all(artifacts: ArtifactStore, expected: Expected, variant: str, winner: Winner) -> list[Path]:
    id, written = winner.training.id, []
    plots = artifacts.keys(f"{id}/plots/")
    if expected.save_dir is not None:
        folder = Path(expected.save_dir)
        folder.mkdir(exist_ok=True)
        files = {f"{id}/model.pth": "model.pth", f"{id}/plots/class_metrics.json": "class_metrics.json"}
        for key, name in files.items():
            if name == "model.pth" or key in plots:
                written.append(folder / f"{variant}_{name}")
                artifacts.get(key, written[-1])
        if (values := optimal_settings(winner.training.config, winner.value)) is not None:
            written.append(folder / f"{variant}_settings.json")
            _write_text(written[-1], json.dumps(values))
    events = [key for key in plots if PurePosixPath(key).name.startswith(_EVENTS)]
    if expected.writer_dir is not None and events:
        folder = Path(expected.writer_dir) / variant / id  # TensorBoard shows each folder as a run
        folder.mkdir(parents=True, exist_ok=True)
        for key in events:
            artifacts.get(key, folder / PurePosixPath(key).name)
        written.append(folder)
    return written


def _write_text(path: Path, text: str) -> None:
    """Replaces the file at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

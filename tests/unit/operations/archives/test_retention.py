"""Pruning beside what may happen meanwhile; the archive, whatever interrupts it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, InvalidInput
from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import SearchConfig, refit_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Refit, Training, run_name
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.retention import PruneOptions, PruneReport, preview, prune
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.retention import named_bases
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.fakes import primitives
from tests.samples import CONFIG, NOW, a_job, a_training, a_trial, an_attempt

OPTIONS = PruneOptions(NOW)
OLD = NOW - timedelta(days=1)


class Place:
    """A database in memory, with its files and its archive."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = SqliteStore(None)
        self.artifacts = FolderArtifactStore(folder / "artifacts")
        self.runs = folder / "runs"
        self.file = folder / "old.jsonl.gz"

    def add(self, status: TrainingStatus = TrainingStatus.FAILED, **fields: Any) -> Training:
        """A training that ended a day ago, with weights, log and run folder."""
        training = a_training(status=status, status_times={status.value: OLD}, attempt=1, **fields)
        training = training.model_copy(update={"attempts": [an_attempt(training)]})
        self.store.queue.add_trainings([training])
        source = self.file.with_name("source")
        source.write_text("a file")
        self.artifacts.put(f"{training.id}/model.pth", source)
        folder = self.run_folder(training)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("a log")
        return training

    def run_folder(self, training: Training) -> Path:
        return self.runs / run_name(training.id, 1)

    def has_files(self, training: Training) -> tuple[bool, bool]:
        """Whether its weights and its run folder are there."""
        return self.artifacts.exists(f"{training.id}/model.pth"), self.run_folder(training).exists()

    def prune(self, options: PruneOptions = OPTIONS, **arguments: Any) -> PruneReport:
        """With an archive; `artifacts` and `wait` may be others."""
        archive = Archive(self.file)
        try:
            given: dict[str, Any] = {"artifacts": self.artifacts, "wait": lambda: None, **arguments}
            return prune(self.store, runs=self.runs, options=options, archive=archive, **given)
        finally:
            archive.close()

    def ids(self) -> set[str]:
        return {row.id for row in self.store.trainings.list_trainings(TrainingFilter(), 10_000).items}

    def lines(self) -> list[dict[str, Any]]:
        with gzip.open(self.file, "rt") as file:
            return [json.loads(line) for line in file]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.store.close()


def test_files_go_too(place: Place) -> None:
    training = place.add()
    assert place.prune().trainings == 1
    assert place.has_files(training) == (False, False)


def test_files_may_stay(place: Place) -> None:
    training = place.add()
    assert place.prune(PruneOptions(NOW, keep_artifacts=True)).trainings == 1
    assert place.has_files(training) == (True, False)


def test_one_that_is_retried_meanwhile_stays_with_its_files(place: Place) -> None:
    first, second = place.add(), place.add()

    class Retrying(Archive):
        def add(self, lines: Any) -> None:
            super().add(lines)
            if first.id in place.ids() and place.store.trainings.get_training(first.id).status == "failed":
                place.store.queue.retry_training(first.id, NOW)

    archive = Retrying(place.file)
    report = prune(place.store, place.artifacts, place.runs, OPTIONS, archive, lambda: None)
    archive.close()
    assert (report.trainings, report.changed) == (1, 1)
    assert place.ids() == {first.id}
    assert place.has_files(first) == (True, True)
    assert place.has_files(second) == (False, False)


def test_a_file_that_cannot_be_deleted_keeps_its_training_only(place: Place) -> None:
    stuck, other = place.add(), place.add()

    class Stuck(FolderArtifactStore):
        def delete(self, prefix: str) -> int:
            if prefix.startswith(stuck.id):
                raise ArtifactError(prefix, "there", "Permission denied")
            return super().delete(prefix)

    report = place.prune(artifacts=Stuck(place.file.parent / "artifacts"))
    assert report.trainings == 1
    assert len(report.failed) == 1
    assert stuck.id in report.failed[0]
    assert place.ids() == {stuck.id}
    assert place.has_files(other) == (False, False)


def test_storage_that_is_away_ends_it(place: Place) -> None:
    for _ in range(30):
        place.add()

    class Away(FolderArtifactStore):
        def delete(self, prefix: str) -> int:
            raise ArtifactError(prefix, "there", "Host is down")

    with pytest.raises(ArtifactError, match="Host is down"):
        place.prune(artifacts=Away(place.file.parent / "artifacts"))
    assert len(place.ids()) == 30
    assert place.prune().trainings == 30
    assert len(place.lines()) == 30  # the page that was archived is not archived again


def test_base_of_an_active_job_stays(place: Place) -> None:
    base = place.add(TrainingStatus.COMPLETED)
    config = {**CONFIG, "base": {"_choice": [base.id, None]}}
    place.store.jobs.add_job(a_job(config=config))
    assert place.prune().bases == 1
    assert place.ids() == {base.id}


def test_the_final_training_of_an_active_job_and_of_a_kept_winner_stays(place: Place) -> None:
    job, base = a_job(), place.add(TrainingStatus.COMPLETED)
    refitted = job.search.model_copy(update={"refit": {"base": base.id}})
    place.store.jobs.add_job(job.model_copy(update={"search": refitted}))
    refit = Refit(job_id=job.id, number=0, parameters={})
    active = place.add(TrainingStatus.COMPLETED, id=refit_id(job.id), refit=refit)
    ended = place.add(TrainingStatus.COMPLETED, refit=refit.model_copy(update={"job_id": new_id()}))
    report = place.prune(PruneOptions(NOW, keep_best=True))
    assert (report.active, report.best, report.bases) == (1, 1, 1)
    assert place.ids() == {active.id, base.id, ended.id}
    place.prune()
    assert place.ids() == {active.id, base.id}


def test_bases_are_found_at_any_depth() -> None:
    config = {"base": {"_choice": ["a", {"_choice": ["b", None]}]}, "model": {"name": "c"}, "list": [{"base": "d"}]}
    assert named_bases(config) == {"a", "b", "d", "_choice"} - {"_choice"}
    assert named_bases({"name": "base"}) == set()


def test_trials_whose_job_is_gone_are_pruned(place: Place) -> None:
    trial = a_trial(a_job().id, 0).trial
    place.add(job_id=a_job().id, trial=trial)
    assert place.prune(PruneOptions(NOW, keep_best=True)).trainings == 1


def test_the_best_trial_stays_though_pages_lie_between(place: Place) -> None:
    job = a_job(status=JobStatus.COMPLETED, status_times={"completed": OLD})
    place.store.jobs.add_job(job)
    trials = []
    for number in range(450):
        trial = a_trial(job.id, number, direction="maximize")
        assert trial.trial is not None
        ended = {"status": TrainingStatus.COMPLETED, "status_times": {"completed": OLD}}
        valued = trial.trial.model_copy(update={"value": float(number % 400)})
        trials.append(trial.model_copy(update={**ended, "trial": valued}))
    place.store.queue.add_trainings(trials)
    options = PruneOptions(NOW, keep_best=True)
    assert (preview(place.store, options).trainings, preview(place.store, OPTIONS).jobs) == (449, 1)
    waited: list[int] = []
    report = place.prune(options, wait=lambda: waited.append(1))
    assert (report.trainings, report.best, report.jobs) == (449, 1, 0)
    assert len(waited) == 5
    assert place.ids() == {trials[399].id}
    assert (place.prune().trainings, place.store.jobs.list_jobs(5).items) == (1, [])
    assert len(place.lines()) == 451


@pytest.mark.parametrize("keep", [True, False])
def test_the_plots_of_a_search_go_with_its_job(place: Place, tmp_path: Path, keep: bool) -> None:
    times = {"completed": OLD}
    job = a_job(status=JobStatus.COMPLETED, status_times=times, artifacts={"plot_history": "x"})
    place.store.jobs.add_job(job)
    (tmp_path / "picture").write_text("of the search")
    place.artifacts.put(f"{job.id}/plots/history.png", tmp_path / "picture")
    assert place.prune(PruneOptions(NOW, keep_artifacts=keep)).jobs == 1
    assert bool(place.artifacts.keys(f"{job.id}/")) == keep


def test_of_several_objectives_the_front_stays(place: Place) -> None:
    search = SearchConfig(max_trials=9, objective=["val_loss", "f1"])
    job = a_job(status=JobStatus.COMPLETED, status_times={"completed": OLD}, search=search)
    place.store.jobs.add_job(job)
    trials = []
    for number, values in enumerate([[0.5, 0.5], [0.6, 0.4], [0.7, 0.9], None]):
        training = a_trial(job.id, number)
        assert training.trial is not None
        trial = training.trial.model_copy(update={"objectives": ["val_loss", "f1"], "values": values})
        ended = {"status": TrainingStatus.COMPLETED, "status_times": {"completed": OLD}}
        trials.append(training.model_copy(update={**ended, "trial": trial}))
    place.store.queue.add_trainings(trials)
    report = place.prune(PruneOptions(NOW, keep_best=True))
    assert (report.trainings, report.best) == (2, 2)
    assert place.ids() == {trials[0].id, trials[2].id}


def test_an_archive_that_was_cut_off_is_continued(place: Place) -> None:
    first = place.add()
    place.prune()
    whole = place.file.read_bytes()
    place.file.write_bytes(whole + whole[:-5])  # the second page was being written when the power went
    second = place.add()
    place.prune()
    assert [line["training"]["_id"] for line in place.lines()] == [first.id, second.id]


def test_every_cut_is_survived(place: Place) -> None:
    place.add()
    place.prune()
    whole = place.file.read_bytes()
    for length in {*range(0, len(whole), 5), 1, 2, 3, len(whole) - 1, len(whole)}:
        place.file.write_bytes(whole[:length])
        Archive(place.file).close()
        assert place.file.read_bytes() == (whole if length == len(whole) else b"")


def test_a_page_that_was_archived_but_not_deleted_is_not_archived_again(place: Place) -> None:
    place.add()
    documents = [place.store.retention.ended_page(TrainingStatus.FAILED, NOW, 5).items[0].document]
    archive = Archive(place.file)
    archive.add({"training": document, "results": []} for document in documents)
    archive.close()
    assert place.prune().trainings == 1
    assert len(place.lines()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"somebody's notes",
        gzip.compress(b"x" * 99, mtime=0)[:-4] + b"oops",
        gzip.compress(b"x" * 99, mtime=0)[:-4],
        gzip.compress(b"x", mtime=0),
    ],
)
def test_another_file_is_not_touched(place: Place, content: bytes) -> None:
    place.file.write_bytes(content)
    with pytest.raises(InvalidInput, match="name another file"):
        Archive(place.file)
    assert place.file.read_bytes() == content


@pytest.mark.parametrize("text", [b"hello\n", b"[1]\n", b'{"a": 1}\n', b'{"training": {}}\n', b"\xff\n"])
def test_another_gzip_file_is_not_touched(place: Place, text: bytes) -> None:
    content = gzip.compress(text)
    place.file.write_bytes(content)
    with pytest.raises(InvalidInput, match="name another file"):
        Archive(place.file)
    assert place.file.read_bytes() == content


def test_two_prunes_do_not_share_an_archive(place: Place) -> None:
    first = Archive(place.file)
    with pytest.raises(InvalidInput, match="another prune"):
        Archive(place.file)
    first.close()
    Archive(place.file).close()


def test_an_archive_that_cannot_be_opened_is_told(place: Place) -> None:
    with pytest.raises(ArtifactError, match="No such file"):
        Archive(place.file.parent / "missing" / "old.jsonl.gz")


def test_numbers_that_are_not_finite_are_text(place: Place) -> None:
    training = place.add(TrainingStatus.DIVERGED)
    record = {"_id": f"{training.id}:000001", "train_loss": float("nan"), "val_loss": float("inf")}
    primitives(place.store).insert("training_results", [record])
    place.prune()
    (line,) = place.lines()
    assert (line["results"][0]["train_loss"], line["results"][0]["val_loss"]) == ("nan", "inf")

"""Restoring from an archive: documents, curves, fields that only others know."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput, NotFound
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.restoration import restore
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_result, a_training, a_trial, later

FAILED = TrainingStatus.FAILED


def ended(**fields: Any) -> dict[str, Any]:
    """The document of a training that has ended."""
    return a_training(status=FAILED, status_times={"failed": NOW}, attempt=1, **fields).to_document()


def result_of(training: Mapping[str, Any], epoch: int, **fields: Any) -> dict[str, Any]:
    own = {"_id": f"{training['_id']}:{epoch:06d}", "training_id": training["_id"], "attempt": 1}
    return {**own, **a_result(epoch, **fields).to_document()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "old.jsonl.gz"


def archive(path: Path, *lines: Mapping[str, Any]) -> None:
    """Each line as a page of its own."""
    file = Archive(path)
    for line in lines:
        file.add([line])
    file.close()


def write(path: Path, *lines: object) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(line, default=str) + "\n" for line in lines).encode()))


def test_documents_and_curves_come_back(store: Store, path: Path) -> None:
    training = {**ended(tags=["team=a"], name="one"), "optuna_state": "FAIL"}
    curve = [result_of(training, 1), result_of(training, 2, val_loss=float("nan"))]
    job = {**a_job(status=JobStatus.COMPLETED, status_times={"completed": NOW}).to_document(), "optuna": {"a": "1"}}
    archive(path, {"training": training, "results": curve}, {"job": job})
    report = restore(store, path)
    assert (report.trainings, report.jobs, report.present) == (1, 1, 0)
    assert store.trainings.get_training(training["_id"]).status_times == {"failed": NOW}
    results = store.runs.curve(training["_id"]).items
    assert [(one.epoch, one.finished_at) for one in results] == [(1, later(1)), (2, later(2))]
    assert results[1].val_loss != results[1].val_loss
    assert [record["attempt"] for record in store.runs.curve_records(training["_id"])] == [1, 1]
    assert store.jobs.get_job(job["_id"]).status == JobStatus.COMPLETED
    assert next(store.studies.study_jobs())["optuna"] == {"a": "1"}
    assert store.trainings.count_trainings() == {"failed": 1}
    assert store.trainings.ids_beginning(training["_id"], 1)


def test_what_is_there_stays_as_it_is(store: Store, path: Path) -> None:
    training = ended(name="archived")
    archive(path, {"training": training, "results": [result_of(training, 1), result_of(training, 2)]})
    now = {**training, "name": "now", "status": "running"}
    primitives(store).insert("trainings", [now])
    report = restore(store, path)
    assert (report.trainings, report.present) == (0, 1)
    assert store.trainings.get_training(training["_id"]).name == "now"
    assert store.runs.curve(training["_id"]).items == []  # of another attempt


def test_again_adds_what_a_killed_one_has_left(store: Store, path: Path) -> None:
    first, second = ended(), ended()
    archive(path, *({"training": one, "results": [result_of(one, 1)]} for one in (first, second)))
    primitives(store).insert("training_results", [result_of(second, 1)])  # killed between curve and document
    assert restore(store, path).trainings == 2
    assert restore(store, path).present == 2
    assert len(store.runs.curve(second["_id"]).items) == 1


def test_of_two_the_later_one_comes_back(store: Store, path: Path) -> None:
    training = ended()
    archive(path, {"training": training, "results": []})
    archive(path, {"training": {**training, "name": "retried", "status_times": {"failed": later(9)}}, "results": []})
    assert restore(store, path).trainings == 1
    assert store.trainings.get_training(training["_id"]).name == "retried"


def test_some_are_chosen_by_their_ids_a_job_with_its_trials(store: Store, path: Path) -> None:
    job = a_job(status=JobStatus.COMPLETED, status_times={"completed": NOW})
    trial = a_trial(job.id, 0, status=FAILED, status_times={"failed": NOW}).to_document()
    alone, other = ended(), ended()
    lines = [{"training": one, "results": []} for one in (trial, alone, other)]
    archive(path, *lines, {"job": job.to_document()})
    report = restore(store, path, [job.id[:13], alone["_id"]], dry_run=True)
    assert (report.trainings, report.jobs) == (2, 1)
    assert store.trainings.count_trainings() == {}
    restore(store, path, [job.id[:13], alone["_id"]])
    assert store.retention.present("training", [trial["_id"], alone["_id"], other["_id"]]) == {
        trial["_id"],
        alone["_id"],
    }
    with pytest.raises(NotFound, match="does not hold it"):
        restore(store, path, ["ffff0000"])


def test_a_page_that_was_cut_off_is_left_out_and_told_once(
    store: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = ended(), ended()
    archive(path, {"training": whole, "results": []})
    size = path.stat().st_size
    archive(path, {"training": cut, "results": []})
    content = path.read_bytes()
    for length in (size + 1, size + 15, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        caplog.clear()
        restore(store, path)
        assert len(caplog.messages) == 1
        assert "is cut off after line " in caplog.text
    caplog.clear()
    path.write_bytes(content[:size])
    restore(store, path)
    assert caplog.messages == []
    assert store.retention.present("training", [whole["_id"]]) == {whole["_id"]}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([{"other": 1}], "line 1: is not of an archive"),
        (["text"], "line 1"),
        ([{"training": {**ended(), "status": "new"}}], "it is new, which has not ended"),
        ([{"training": {"_id": "x"}}], "line 1"),
        ([{"training": ended(), "results": [result_of(ended(), 1)]}], "a result is of another training"),
        ([{"training": ended(), "results": [7]}], "line 1"),
    ],
    ids=range(6),
)
def test_what_is_no_archive_changes_nothing(store: Store, path: Path, lines: list[Any], told: str) -> None:
    good = {"training": ended(), "results": []}
    write(path, *lines)
    with pytest.raises(InvalidInput, match=told):
        restore(store, path)
    archive(path.with_name("good"), good)
    path.write_bytes(path.with_name("good").read_bytes() + path.read_bytes())
    with pytest.raises(InvalidInput):
        restore(store, path)
    assert store.trainings.count_trainings() == {}


def test_files_that_are_none(store: Store, path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        restore(store, path)
    path.write_text("plain text")
    with pytest.raises(InvalidInput, match="is not an archive of micontrol prune"):
        restore(store, path)
    archive(path.with_name("one"), {"training": ended(), "results": []})
    content = bytearray(path.with_name("one").read_bytes())
    content[40] ^= 255
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged"):
        restore(store, path)

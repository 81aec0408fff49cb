"""Files that are damaged, cut off or of something else: told with the reason, and nothing else is touched."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.interop.foreign_run import DamagedRun, Ending, ForeignRun, ReadOptions
from mitorch_service.interop.import_runs import ImportReport, import_options, import_runs
from mitorch_service.interop.registry import SYSTEMS, open_system
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.foreign_runs.fixtures import unpack

_FILES = {"tensorboard": "*tfevents*", "mlflow": "*.db", "wandb": "*.wandb", "trackio": "*.db", "neptune": "data-*.log"}


@pytest.fixture
def store() -> Store:
    return SqliteStore(None)


def imported(store: Store, system: str, path: Path) -> ImportReport:
    return import_runs(store, open_system(system), path, import_options((), 1000, "auto", False, True, False))


def biggest(system: str, folder: Path) -> Path:
    return max(folder.rglob(_FILES[system]), key=lambda file: file.stat().st_size)


@pytest.mark.parametrize("system", ["tensorboard", "wandb", "neptune"])
def test_one_damaged_run_of_several(system: str, tmp_path: Path, store: Store) -> None:
    file = biggest(system, unpack(system, tmp_path))
    content = bytearray(file.read_bytes())
    middle = content.index(b'"version"') - 3 if system == "neptune" else len(content) // 2
    content[middle] ^= 0x55
    file.write_bytes(content)
    report = imported(store, system, tmp_path)
    assert len(report.damaged) == 1
    assert str(file.parent) in report.damaged[0][0]
    assert len(report.imported) >= 2
    assert sum(store.trainings.count_trainings().values()) == len(report.imported)


@pytest.mark.parametrize("system", ["tensorboard", "wandb", "neptune"])
def test_the_end_is_cut_off(system: str, tmp_path: Path) -> None:
    """As a killed process leaves it: what is there before counts."""
    path = unpack(system, tmp_path)
    file = biggest(system, path)

    def read() -> ForeignRun:
        found = open_system(system).find_runs(path, ReadOptions())
        return next(one for one in found if Path(one.place) in (file, *file.parents) and "runs" in one.place).read()

    whole = {name: read().curves[name].logged for name in read().curves}
    file.write_bytes(file.read_bytes()[:-10])
    cut = read()
    assert set(cut.curves) <= set(whole)
    assert sum(cut.curves[name].logged for name in cut.curves) >= sum(whole.values()) - 1
    if system == "wandb":
        assert cut.ending == Ending.OPEN


def _metric(folder: Path) -> Path:
    return next(file for file in folder.rglob("*") if file.parent.name == "metrics" and file.name == "odd")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: _metric(run).write_text("1 x 2\n"), "line 1 of the metric 'odd'"),
        (lambda run: (run / "meta.yaml").write_text("a: [\n"), "meta.yaml is not YAML"),
        (lambda run: (run / "meta.yaml").write_text("a: 1\n"), "meta.yaml has no run_id"),
        (lambda run: (run / "meta.yaml").write_bytes(b"\xff\xfe\0"), "meta.yaml is not YAML"),
    ],
)
def test_damaged_files_of_mlflow(tmp_path: Path, store: Store, damage: Callable[[Path], object], words: str) -> None:
    runs = unpack("mlflow", tmp_path) / "mlruns"
    damage(_metric(runs).parent.parent)
    report = imported(store, "mlflow", runs)
    assert len(report.imported) == 3
    assert len(report.damaged) == 1
    assert words in report.damaged[0][1]


def test_the_last_line_of_mlflow_is_cut_off(tmp_path: Path) -> None:
    runs = unpack("mlflow", tmp_path) / "mlruns"
    with _metric(runs).open("a") as file:
        file.write("179598")
    found = [one.read() for one in open_system("mlflow").find_runs(runs, ReadOptions())]
    assert [run.curves["odd"].logged for run in found if "odd" in run.curves] == [5]


@pytest.mark.parametrize("system", SYSTEMS)
def test_noise_never_ends_the_import(system: str, tmp_path: Path, store: Store) -> None:
    """Whatever byte is wrong: the run is read, or told; no other error."""
    path = unpack(system, tmp_path)
    file = biggest(system, path)
    content = file.read_bytes()
    chance = random.Random(0)
    for _ in range(6):
        noisy = bytearray(content)
        for _ in range(3):
            noisy[chance.randrange(len(noisy))] = chance.randrange(256)
        file.write_bytes(noisy)
        try:
            report = imported(store, system, path)
            assert report.seen
        except InvalidInput as error:
            assert str(path) in str(error)
    assert sum(store.trainings.count_trainings().values()) < 25


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_of_the_system(system: str, tmp_path: Path, store: Store) -> None:
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    (tmp_path / "meta.yaml").write_text("a: 1")
    with pytest.raises(InvalidInput, match=r"holds no runs|cannot be read"):
        imported(store, system, tmp_path)
    (tmp_path / "other.db").unlink()
    with pytest.raises(InvalidInput, match="holds no runs") as error:
        imported(store, system, tmp_path)
    assert open_system(system).expected in str(error.value)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_file_of_something_else(system: str, tmp_path: Path, store: Store) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(bytes(range(256)) * 10)
    try:
        report = imported(store, system, file)
    except InvalidInput:
        return
    assert not report.imported
    assert len(report.damaged) == 1


def test_a_folder_that_cannot_be_read_as_a_database(tmp_path: Path, store: Store) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"x" * 4000)
    with pytest.raises(InvalidInput, match=r"mlflow\.db cannot be read"):
        imported(store, "mlflow", tmp_path)


def test_a_database_is_read_without_writing_beside_it(tmp_path: Path, store: Store) -> None:
    path = unpack("trackio", tmp_path)
    with closing(sqlite3.connect(path / "digits.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE metrics SET run_name = run_name")
        database.commit()
    before = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    assert len(imported(store, "trackio", path).imported) == 2
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == before


def test_what_another_process_is_writing_is_read(tmp_path: Path, store: Store) -> None:
    path = unpack("trackio", tmp_path)
    with closing(sqlite3.connect(path / "digits.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE metrics SET metrics = '{\"loss\": 5}'")
        database.commit()
        imported(store, "trackio", path)
    assert {
        row.progress and row.progress.train_loss for row in store.trainings.list_trainings(TrainingFilter(), 9).items
    } == {5.0}


def test_a_damaged_parquet_file(tmp_path: Path, store: Store) -> None:
    path = unpack("trackio", tmp_path)
    (path / "digits.db").unlink()
    (path / "digits.parquet").write_bytes(b"PAR1" + bytes(50))
    with pytest.raises(InvalidInput, match=r"digits\.parquet cannot be read"):
        imported(store, "trackio", path)


def test_values_of_another_type_than_they_should_be(tmp_path: Path, store: Store) -> None:
    path = unpack("trackio", tmp_path)
    with closing(sqlite3.connect(path / "digits.db")) as database:
        database.execute("UPDATE metrics SET step = 'x' WHERE id = 1")
        database.commit()
    report = imported(store, "trackio", path)
    assert len(report.imported) == 1
    assert "is not as trackio writes it" in report.damaged[0][1]


def test_damage_stays_in_the_room() -> None:
    assert not issubclass(DamagedRun, InvalidInput)

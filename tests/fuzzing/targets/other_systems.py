"""Files of experiment trackers, as `mitorch import` reads them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mitorch_service.interop.import_runs import import_options, import_runs
from mitorch_service.interop.registry import open_system
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.foreign_runs.fixtures import HERE, unpack
from tests.fuzzing.target import Target

# By target: the system, its fixture, and the file that is damaged.
_FILES = {
    "import-tensorboard": ("tensorboard", "tensorboard", "*tfevents*"),
    "import-tensorboardx": ("tensorboard", "tensorboardx", "*tfevents*"),
    "import-mlflow-database": ("mlflow", "mlflow", "*.db"),
    "import-mlflow-meta": ("mlflow", "mlflow", "meta.yaml"),
    "import-mlflow-metric": ("mlflow", "mlflow", "*/metrics/*"),
    "import-wandb": ("wandb", "wandb", "*.wandb"),
    "import-trackio": ("trackio", "trackio", "*.db"),
    "import-neptune": ("neptune", "neptune", "data-*.log"),
    "import-neptune-scale": ("neptune", "neptunescale", "*.sqlite3"),
}


@cache
def _store() -> Store:
    return SqliteStore(None)


def _import(system: str, fixture: str, pattern: str) -> Callable[[bytes, Path], None]:
    def parse(content: bytes, folder: Path) -> None:
        place = folder / "runs"
        if not place.exists():
            unpack(fixture, folder)
            (folder / "changed").write_text(str(_biggest(place, pattern)))
        Path((folder / "changed").read_text()).write_bytes(content)
        import_runs(_store(), open_system(system), place, import_options((), 100, "auto", False, True, True))
        assert not any(_store().trainings.count_trainings().values())

    return parse


def _biggest(place: Path, pattern: str) -> Path:
    return max((one for one in place.rglob(pattern) if one.is_file()), key=lambda one: (one.stat().st_size, str(one)))


def _seed(fixture: str, pattern: str) -> bytes:
    """The biggest file of the kind, from the archive itself."""
    with tarfile.open(HERE / f"{fixture}.tar.gz") as archive:
        members = [one for one in archive if one.isfile() and Path(one.name).match(pattern)]
        member = max(members, key=lambda one: (one.size, one.name))
        content = archive.extractfile(member)
        assert content is not None
        return content.read()


TARGETS = tuple(
    Target(name, _import(system, fixture, pattern), (_seed(fixture, pattern),))
    for name, (system, fixture, pattern) in _FILES.items()
)

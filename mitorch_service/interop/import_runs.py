"""Imports the runs of another system, each wholly or not at all and once only."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.foreign_run import DamagedRun, Ending, ForeignRun, FoundRun, NothingLogged, ReadOptions
from mitorch_service.interop.registry import System
from mitorch_service.interop.translation import TranslationOptions, training_id, translate
from mitorch_service.models.imported import Axis
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store

_LOOKED_UP = 200  # runs in one question to the database
_RECORDS = 5000  # epochs that are held until they are written
# What the readers meet in a file of which a part is of another type than it should be.
_WRONG_VALUES = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)


@dataclass(frozen=True)
class ImportOptions:
    """The choice of what is imported, and how."""

    read: ReadOptions
    translation: TranslationOptions
    unfinished: bool = False  # runs that have no end, too
    dry_run: bool = False


def import_options(
    tags: Sequence[str], points: int, axis: str, system_metrics: bool, unfinished: bool, dry_run: bool
) -> ImportOptions:
    """Returns the options of an import that happens now; `axis`: epoch, step or auto."""
    wanted: Axis | None = "epoch" if axis == "epoch" else "step" if axis == "step" else None
    translation = TranslationOptions(datetime.now(UTC), points, wanted, tags)
    return ImportOptions(ReadOptions(system_metrics), translation, unfinished, dry_run)


@dataclass
class ImportReport:
    """Trainings that were imported (or would be), and the runs that were not, by reason."""

    imported: list[tuple[str, str, str, str | None]] = field(default_factory=list)  # id, status, run, name
    present: int = 0  # imported before
    unfinished: list[tuple[str, str]] = field(default_factory=list)  # place and reason
    empty: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    incomplete: int = 0  # imported ones of which something was left out

    @property
    def seen(self) -> int:
        return len(self.imported) + self.present + len(self.unfinished) + len(self.empty) + len(self.damaged)


def import_runs(
    store: Store,
    system: System,
    path: Path,
    options: ImportOptions,
    show: Callable[[ImportReport], object] = lambda report: None,
) -> ImportReport:
    """Imports the runs at the path that the database does not have. At any time a few runs are held in memory. If it is
    killed, the next call adds what is left. Raises InvalidInput if there are none at all."""
    report = ImportReport()
    if not options.dry_run:
        store.prepare()
    batch = _Batch(store, system.name, path, options, report)
    found = _found(system, path, options)
    while page := list(islice(found, _LOOKED_UP)):
        for run, id in _absent(store, system.name, page, report):
            batch.add(run, id)
            show(report)
        show(report)
    batch.write()
    show(report)
    if not report.seen:
        problem = f"holds no runs of {system.name}; name {system.expected}"
        raise InvalidInput("PATH", [Problem(str(path), problem)])
    return report


def _found(system: System, path: Path, options: ImportOptions) -> Iterator[FoundRun]:
    try:
        yield from system.find_runs(path, options.read)
    except (DamagedRun, OSError) as error:
        raise InvalidInput("PATH", [Problem(str(path), f"cannot be read: {error}")]) from error


def _absent(
    store: Store, system: str, page: Sequence[FoundRun], report: ImportReport
) -> Iterator[tuple[FoundRun, str]]:
    """The runs that the database does not have, with the ids of their trainings."""
    ids = [None if run.key is None else training_id(system, run.key) for run in page]
    present = store.imports.imported([id for id in ids if id is not None])
    for run, id in zip(page, ids, strict=True):
        if id in present:
            report.present += 1
        else:
            yield run, id or ""


class _Batch:
    """Runs that have been read and are written together."""

    def __init__(self, store: Store, system: str, path: Path, options: ImportOptions, report: ImportReport) -> None:
        self._store = store
        self._system = system
        self._path = path
        self._options = options
        self._report = report
        self._held: list[tuple[Training, list[EpochResult]]] = []
        self._ids: set[str] = set()  # copies of one run in two folders become one training
        self._records = 0

    def add(self, found: FoundRun, id: str) -> None:
        """Reads a run, and writes it with others as soon as they are many."""
        try:
            run = found.read()
            if not run.curves and not run.finals and not run.parameters:
                raise NothingLogged("it has no metrics and no parameters")
            self._take(found, run, id)
        except NothingLogged as nothing:
            self._report.empty.append((found.place, str(nothing)))
        except DamagedRun as damage:
            self._report.damaged.append((found.place, str(damage)))
        except OSError as error:
            self._report.damaged.append((found.place, f"cannot be read: {error.strerror or error}"))
        except _WRONG_VALUES as error:
            problem = f"is not as {self._system} writes it ({type(error).__name__}: {error})"
            self._report.damaged.append((found.place, problem))

    def _take(self, found: FoundRun, run: ForeignRun, id: str) -> None:
        if run.ending == Ending.OPEN and not self._options.unfinished:
            self._report.unfinished.append((found.place, run.reason or "it has no end"))
            return
        if id in self._ids:
            self._report.present += 1
            return
        place = str(Path.cwd() / found.place)
        training, results = translate(run, id, self._system, place, self._options.translation)
        self._ids.add(id)
        self._report.imported.append((training.id, training.status, run.id, training.name))
        self._report.incomplete += bool(training.imported_from and training.imported_from.left_out)
        if not self._options.dry_run:
            self._held.append((training, results))
            self._records += len(results) + 1
            if self._records >= _RECORDS:
                self.write()

    def write(self) -> None:
        """Writes what is held."""
        if self._held:
            self._store.imports.add_imported(self._held)
        self._held, self._records = [], 0

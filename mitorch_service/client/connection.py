"""The contract of what the Python client stands on: the database itself, or a viewer's API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from mitorch_service.insights.details.dataset_details import DatasetDetails
from mitorch_service.insights.details.job_details import JobDetails, JobRow, LeaderboardDetails
from mitorch_service.insights.details.status_details import StatusDetails
from mitorch_service.insights.details.table_details import TableDetails
from mitorch_service.insights.details.training_details import CurveDetails, TrainingDetails
from mitorch_service.insights.details.values import Detail
from mitorch_service.stores.verbs.trainings import Kind


@dataclass(frozen=True)
class Written:
    """A config as the text of a file."""

    text: str
    source: str  # the file's name, whose end tells the format
    folder: Path = Path()  # a script's `source` is relative to it


@dataclass(frozen=True)
class Options:
    """The options of a submission, beside the config."""

    dataset: str | None = None
    name: str | None = None
    tags: Sequence[str] = ()
    priority: int = 100


class SubmissionDetails(Detail):
    """A submission that was queued, or would be."""

    id: str | None = Field(description="Null for an explanation.")
    kind: Kind = Field(description="training, or job for a search.")
    dataset: str = Field(description="NAME:VERSION.")
    explanation: list[str] = Field(description="Lines for people.")
    plan: dict[str, Any] | None = Field(description="Of an explanation the same for programs.")


class ChangeDetails(Detail):
    """One that was changed."""

    kind: Kind
    id: str
    trials: int
    is_final: bool


class RefusalDetails(Detail):
    """One that was left as it is."""

    id: str
    reason: str
    kind: str  # the class of the error


class ChangesDetails(Detail):
    """The result of an order, one by one."""

    changed: list[ChangeDetails]
    refused: list[RefusalDetails]
    left: int  # those that there was no time for


class Connection(ABC):
    """Reads and orders. Both kinds return the same values and raise the same errors: NotFound, AmbiguousId, NotAllowed,
    InvalidInput, StoreError, StoreUnavailable. Credentials are masked."""

    def close(self) -> None:
        """Gives back what is open. The connection is of no use afterwards."""
        return

    @abstractmethod
    def find(self, key: str) -> tuple[Kind, str]:
        """Returns the kind and whole id of what a person names. Raises NotFound, AmbiguousId."""

    @abstractmethod
    def training(self, id: str) -> TrainingDetails:
        """Reads a training. Raises NotFound."""

    @abstractmethod
    def job(self, id: str) -> JobDetails:
        """Reads a search. Raises NotFound."""

    @abstractmethod
    def jobs(self, limit: int, name: str | None) -> list[JobRow]:
        """Reads the first searches, at most 1,000: active ones by priority, then the newest."""

    @abstractmethod
    def curve(self, id: str, after: int) -> CurveDetails:
        """Reads the epochs behind `after`, at most 10,000. Raises NotFound."""

    @abstractmethod
    def leaderboard(self, id: str, limit: int) -> LeaderboardDetails:
        """Reads the best trials of a search. Raises NotFound."""

    @abstractmethod
    def table(self, where: str, sort: str | None, columns: str | None, limit: int, after: str | None) -> TableDetails:
        """Reads a page of a table, at most 1,000 rows. Raises InvalidInput, NotFound, AmbiguousId."""

    @abstractmethod
    def datasets(self) -> list[DatasetDetails]:
        """Reads all versions of all data sets."""

    @abstractmethod
    def status(self) -> StatusDetails:
        """Reads the state of the service."""

    @abstractmethod
    def submit(self, written: Written, options: Options, dry_run: bool) -> SubmissionDetails:
        """Checks a config, and queues it unless it is a dry run. Raises InvalidInput with every problem."""

    @abstractmethod
    def act(self, verb: str, ids: Sequence[str], labels: Mapping[str, Any]) -> ChangesDetails:
        """Cancels, retries, deletes or changes trainings and searches; a refusal stops none of the others. `labels`:
        what is changed. Raises NotFound, AmbiguousId, InvalidInput before anything is changed."""

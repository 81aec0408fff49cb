"""The client's results: values with names, which notebooks show and pandas takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mitorch_service.client import notebook
from mitorch_service.client.connection import ChangesDetails, SubmissionDetails
from mitorch_service.errors import MissingExtra
from mitorch_service.insights.details.job_details import JobDetails, LeaderboardDetails
from mitorch_service.insights.details.table_details import RowDetails, TableDetails
from mitorch_service.insights.details.training_details import CurveDetails, EpochDetails, TrainingDetails
from mitorch_service.insights.details.values import Detail

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]  # its stubs are another package


_OWN_COLUMNS = ("epoch", "step", "metrics", "losses")  # of a data frame: the index, or as far as there are any


class Curve(CurveDetails):
    """All recorded epochs of a training."""

    more: Literal[False] = False

    def __len__(self) -> int:
        return len(self.epochs)

    def values(self, name: str) -> list[tuple[int, float]]:
        """Returns (epoch, value) of ``train_loss``, ``val_loss``, another field or a metric, where it was measured."""
        return [(one.epoch, value) for one in self.epochs if (value := epoch_value(one, name)) is not None]

    def to_pandas(self) -> DataFrame:
        """Returns a data frame with a row for each epoch, metrics among the columns. Raises MissingExtra."""
        steps = ["step"] if any(one.step is not None for one in self.epochs) else []
        fields = [*steps, *(name for name in EpochDetails.model_fields if name not in _OWN_COLUMNS)]
        rows = [
            {"epoch": one.epoch, **{name: getattr(one, name) for name in fields}, **one.metrics, **_parts(one)}
            for one in self.epochs
        ]
        metrics = dict.fromkeys(name for one in self.epochs for name in (*one.metrics, *_parts(one)))
        return _frame(rows, ["epoch", *fields, *metrics]).set_index("epoch")

    def _repr_html_(self) -> str:
        return notebook.curve_html(self)


class Training(TrainingDetails):
    """A training with its curve."""

    curve: Curve = Field(description="Its recorded epochs.")

    def to_pandas(self) -> DataFrame:
        """Returns its curve as a data frame. Raises MissingExtra."""
        return self.curve.to_pandas()

    def _repr_html_(self) -> str:
        return notebook.training_html(self, self.curve)


class Leaderboard(LeaderboardDetails):
    """The best trials of a search."""

    def __len__(self) -> int:
        return len(self.trials)

    def to_pandas(self) -> DataFrame:
        """Returns a data frame with a row for each trial: objectives and parameters are columns. Raises
        MissingExtra."""
        rows = [
            {
                "rank": one.rank,
                "id": one.id,
                "trial": one.trial,
                "epochs": one.epochs,
                **dict(zip(self.objectives, one.values, strict=True)),
                **{f"param.{name}": value for name, value in one.parameters.items()},
            }
            for one in self.trials
        ]
        names = dict.fromkeys(f"param.{name}" for one in self.trials for name in one.parameters)
        return _frame(rows, ["rank", "id", "trial", "epochs", *self.objectives, *names]).set_index("rank")

    def _repr_html_(self) -> str:
        return notebook.leaderboard_html(self)


class Job(JobDetails):
    """A search with its best trials."""

    leaderboard: Leaderboard = Field(description="The best 20.")

    def to_pandas(self) -> DataFrame:
        """Returns its leaderboard as a data frame. Raises MissingExtra."""
        return self.leaderboard.to_pandas()

    def _repr_html_(self) -> str:
        return notebook.job_html(self, self.leaderboard)


class Table(TableDetails):
    """Trainings that pass a filter, with the columns that were asked for."""

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> list[str]:
        """Returns their ids."""
        return [row.id for row in self.rows]

    def records(self) -> Iterator[dict[str, Any]]:
        """Yields each row by the names of its columns, with its id and status."""
        names = [column.name for column in self.columns]
        for row in self.rows:
            yield {"id": row.id, "status": row.status, **dict(zip(names, row.cells, strict=True))}

    def to_pandas(self) -> DataFrame:
        """Returns a data frame; times are aware. Raises MissingExtra."""
        names = dict.fromkeys(["id", "status", *(column.name for column in self.columns)])
        frame = _frame(list(self.records()), list(names))
        import pandas

        for column in self.columns:
            if column.kind == "time":
                frame[column.name] = pandas.to_datetime(frame[column.name], utc=True, format="ISO8601")
        return frame

    def _repr_html_(self) -> str:
        return notebook.table_html(self)


class Submission(SubmissionDetails):
    """A submission that was queued, or would be."""

    def __str__(self) -> str:
        return self.id or "\n".join(self.explanation)

    def _repr_html_(self) -> str:
        return notebook.submission_html(self)


class Changes(ChangesDetails):
    """The changes that were made, and those that were refused."""

    def _repr_html_(self) -> str:
        return notebook.changes_html(self)


def epoch_value(epoch: EpochDetails, name: str) -> float | None:
    """Returns a value of an epoch; None where it was not measured."""
    if name in EpochDetails.model_fields and name not in ("metrics", "losses"):
        value: object = getattr(epoch, name)
        return float(value) if isinstance(value, int | float) else None
    return {**_parts(epoch), **epoch.metrics}.get(name)


def _parts(epoch: EpochDetails) -> dict[str, float | None]:
    """The parts of the training loss, named as in the viewer."""
    return {f"loss_{name}": value for name, value in epoch.losses.items()}


def training_of(details: TrainingDetails, curve: Curve) -> Training:
    """Puts a training and its curve together."""
    return Training(**_fields(details), curve=curve)


def job_of(details: JobDetails, leaderboard: Leaderboard) -> Job:
    """Puts a search and its leaderboard together."""
    return Job(**_fields(details), leaderboard=leaderboard)


def as_kind(kind: type[Any], details: Detail) -> Any:
    """The same values with the methods of the result."""
    return kind(**_fields(details))


def _fields(details: Detail) -> dict[str, Any]:
    return {name: getattr(details, name) for name in type(details).model_fields}


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> DataFrame:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtra("pandas", "pandas") from error
    return pandas.DataFrame(rows, columns=columns)


__all__ = ["Changes", "Curve", "Job", "Leaderboard", "RowDetails", "Submission", "Table", "Training"]

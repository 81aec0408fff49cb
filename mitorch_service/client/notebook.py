"""HTML for notebooks: self-contained, every text escaped, no script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from mitorch_service.client.connection import ChangesDetails, SubmissionDetails
from mitorch_service.insights.details.job_details import JobDetails, LeaderboardDetails
from mitorch_service.insights.details.table_details import TableDetails
from mitorch_service.insights.details.training_details import CurveDetails, TrainingDetails

if TYPE_CHECKING:
    from mitorch_service.client.results import Curve, Leaderboard

_WIDTH, _HEIGHT, _MARGIN = 420, 130, 8
_COLORS = {"train_loss": "#8a93a5", "val_loss": "#2f4fc8"}
_TONES = {"completed": "#157347", "failed": "#b3261e", "diverged": "#a1237e", "running": "#1a5fc4"}
_ROWS = 20
_POINTS = 300
_LONGEST = 120


def training_html(training: TrainingDetails, curve: Curve) -> str:
    """A training: title, progress, facts, curve, and the error where it failed."""
    facts = [
        ("id", training.id),
        ("data set", training.dataset),
        ("epochs" if training.max_steps is None else "steps", _progress(*_done(training))),
        *((name, _value(value)) for name, value in (training.evaluation or training.metrics).items()),
        ("tags", " ".join(training.tags)),
        ("cost", f"{training.cost:.2f}" if training.cost else ""),
    ]
    error = f"{training.error.type}: {training.error.message}" if training.error else ""
    bar = "" if training.has_ended else _bar(*_done(training))
    return _box(training.name or training.id[:8], training.status, bar + _facts(facts) + _problem(error) + _svg(curve))


def _done(training: TrainingDetails) -> tuple[int, int]:
    """The epochs, or the steps, that are done and their total."""
    if training.max_steps is not None:
        return training.step or 0, training.max_steps
    return training.epoch, training.max_epochs


def curve_html(curve: Curve) -> str:
    """The losses of a curve, and how many epochs it has."""
    return _box(f"{len(curve.epochs)} epochs of {curve.id[:8]}", "", _svg(curve))


def job_html(job: JobDetails, leaderboard: Leaderboard) -> str:
    """A search: its goal and progress, and its best trials."""
    done = sum(count for status, count in job.counts.items() if status not in ("new", "queued", "running"))
    facts = [
        ("id", job.id),
        ("data set", job.dataset),
        ("goal", " and ".join(map(" ".join, zip(job.directions, job.objectives, strict=True)))),
        ("trials", f"{done} of {job.max_trials} ended"),
        ("best", _value(job.best_value)),
    ]
    bar = "" if job.has_ended else _bar(done, job.max_trials)
    return _box(
        job.name or job.id[:8], job.status, bar + _facts(facts) + _problem(job.error or "") + _leaders(leaderboard)
    )


def leaderboard_html(leaderboard: LeaderboardDetails) -> str:
    """The best trials."""
    return _box(f"Best trials of {leaderboard.job[:8]}", "", _leaders(leaderboard))


def table_html(table: TableDetails) -> str:
    """The first rows of a table."""
    heads = ["id", *(column.name for column in table.columns)]
    rows = [[row.id[:8], *row.cells] for row in table.rows[:_ROWS]]
    rest = len(table.rows) - len(rows)
    note = f"and {rest:,} more" if rest else "" if table.complete else "ended by its time limit: there may be more"
    return _box(f"{len(table.rows):,} trainings", "", _grid(heads, rows) + _note(note))


def submission_html(submission: SubmissionDetails) -> str:
    """A submission that was queued, or would be."""
    title = f"Queued {submission.id}" if submission.id else "Would be queued"
    return _box(title, "", "".join(_note(line) for line in submission.explanation[:_ROWS]))


def changes_html(changes: ChangesDetails) -> str:
    """The changes and the refusals."""
    lines = [f"{one.kind} {one.id}" for one in changes.changed[:_ROWS]]
    left = "".join(_problem(f"left as it is: {one.reason}") for one in changes.refused[:_ROWS])
    return _box(
        f"{len(changes.changed)} changed, {len(changes.refused)} refused", "", "".join(map(_note, lines)) + left
    )


def _svg(curve: CurveDetails) -> str:
    """The losses over the epochs, each thinned to its least and greatest values by column."""
    drawn = [(name, _finite(curve, name)) for name in _COLORS]
    values = [value for _, points in drawn for _, value in points]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    first, last = curve.epochs[0].epoch, curve.epochs[-1].epoch
    lines = "".join(_line(name, points, (first, last), (low, high)) for name, points in drawn if points)
    names = " ".join(f'<span style="color:{_COLORS[name]}">&#9644; {name}</span>' for name, points in drawn if points)
    label = escape(f"losses from epoch {first} to {last}, {_value(low)} to {_value(high)}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}">'
        f'{lines}</svg><div style="font-size:11px">{names} <span style="opacity:.7">{_value(low)} … {_value(high)}'
        "</span></div>"
    )


def _finite(curve: CurveDetails, name: str) -> list[tuple[int, float]]:
    points = [(one.epoch, getattr(one, name)) for one in curve.epochs]
    known = [(epoch, value) for epoch, value in points if value is not None and math.isfinite(value)]
    size = max(1, -(-len(known) // _POINTS))
    kept: list[tuple[int, float]] = []
    for start in range(0, len(known), size):
        part = known[start : start + size]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept


def _line(name: str, points: Sequence[tuple[int, float]], epochs: tuple[int, int], values: tuple[float, float]) -> str:
    wide, high = max(1, epochs[1] - epochs[0]), (values[1] - values[0]) or 1.0
    at = (
        f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * (epoch - epochs[0]) / wide:.1f},"
        f"{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * ((value - values[0]) / high):.1f}"
        for epoch, value in points
    )
    return f'<polyline fill="none" stroke="{_COLORS[name]}" stroke-width="1.6" points="{" ".join(at)}"/>'


def _box(title: str, status: str, content: str) -> str:
    tone = _TONES.get(status, "#5a6577")
    pill = f' <span style="color:{tone};font-size:12px">&#9679; {escape(status)}</span>' if status else ""
    return (
        '<div style="font-family:system-ui,sans-serif;border:1px solid #8886;border-radius:8px;padding:10px 14px;'
        f'max-width:900px"><div style="font-weight:600;margin-bottom:4px">{escape(title)}{pill}</div>{content}</div>'
    )


def _bar(done: int, of: int) -> str:
    return f'<progress value="{done}" max="{of}" style="width:{_WIDTH}px"></progress>' if of else ""


def _facts(facts: Iterable[tuple[str, object]]) -> str:
    parts = (
        f'<span style="margin-right:14px"><span style="opacity:.65">{escape(str(name))}</span> {_text(value)}</span>'
        for name, value in facts
        if value not in ("", None)
    )
    return f'<div style="font-size:13px;margin:4px 0">{"".join(parts)}</div>'


def _problem(text: str) -> str:
    return f'<div style="color:#b3261e;font-size:13px;white-space:pre-wrap">{_text(text)}</div>' if text else ""


def _note(text: str) -> str:
    return f'<div style="font-size:12px;opacity:.75">{_text(text)}</div>' if text else ""


def _leaders(board: LeaderboardDetails) -> str:
    if not board.trials:
        return _note("no trial has a value yet")
    names = list(dict.fromkeys(name for one in board.trials for name in one.parameters))
    rows = [
        [
            one.rank,
            *map(_value, one.values),
            one.trial,
            one.id[:8],
            *(_value(one.parameters.get(name)) for name in names),
        ]
        for one in board.trials[:_ROWS]
    ]
    return _grid(["rank", *board.objectives, "trial", "id", *names], rows)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(_value(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _progress(done: int, of: int) -> str:
    return f"{done}/{of}" if of else str(done)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(map(_value, value))
    return "" if value is None else str(value)


def _text(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")

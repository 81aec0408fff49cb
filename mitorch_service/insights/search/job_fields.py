"""The fields of one job, in the order and the words in which people read them."""

from __future__ import annotations

from mitorch_service.insights.cost import cost_fields
from mitorch_service.insights.search.job import JobReport
from mitorch_service.insights.search.pausing import counts_text
from mitorch_service.insights.search.search_fields import search_fields
from mitorch_service.insights.training.script_fields import script_fields
from mitorch_service.models.training import done_text
from mitorch_service.wording.elapsed import duration_text


def job_fields(report: JobReport) -> list[tuple[str, object]]:
    """Names and values; a value is None where there is nothing to show."""
    job = report.job
    trials = sum(report.counts.values())
    return [
        ("job", job.id),
        ("name", job.name),
        ("status", job.status),
        ("trials", f"{trials} of {job.search.max_trials}: {counts_text(report.counts)}"),
        ("left", _left_text(report)),
        ("best", report.best and report.best.value),
        ("best trial", report.best and report.best.training_id),
        ("tags", job.tags),
        ("user note", job.user_note),
        ("submitted by", job.submitted_by),
        ("priority", job.priority),
        ("dataset", job.dataset),
        *script_fields(job.config),
        ("search", f"{job.search.algorithm}, {job.search.goal()}"),
        ("reached", ", ".join(f"epoch {epochs}: {n}" for epochs, n in report.reached.items() if n) or None),
        ("final training", _final_text(report)),
        ("budget", job.search.max_cost),
        *cost_fields(report.cost),
        ("created", job.created_at),
        ("error", job.error),
        ("note", job.note),
        *((f"artifact {name}", address) for name, address in job.artifacts.items()),
        *search_fields(report.effort, report.importance, report.warnings),
    ]


def _left_text(report: JobReport) -> str | None:
    remaining = duration_text(report.remaining)
    return remaining and f"about {remaining}"


def _final_text(report: JobReport) -> str | None:
    if report.job.search.refit is None:
        return None
    if report.final is None:
        return "follows the search"
    training = report.final.training
    if training is None:
        return str(report.final.status)
    objective = report.job.search.objectives()[0]
    done = done_text(training) if training.max_steps is not None else f"epoch {done_text(training)}"
    value = (training.evaluation or {}).get(objective)
    reached = "" if value is None else f", {objective}={value:.4g}"
    return f"{training.id} {training.status}, {done}{reached}"


def final_json(report: JobReport) -> dict[str, object] | None:
    """The final training for JSON; None if there is none yet."""
    training = report.final.training if report.final is not None else None
    if training is None:
        return None
    return {"id": training.id, "status": training.status, "evaluation": training.evaluation}


def importance_json(report: JobReport) -> dict[str, object]:
    """Shares by objective, if there are several; else by parameter alone."""
    first = report.importance[report.job.search.objectives()[0]]
    return {"importance": report.importance if report.has_front else first}

"""Submitting a training or a search, and what would come of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import DEFAULT_PRIORITY, Training
from mitorch_service.viewer.api.changes import Priority
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.submitting import Written, build, queue

router = api_router("submissions")
MOST_PROBLEMS = 100


class OptionsBody(BaseModel):
    """The options that the command line of `misubmit` adds to a file."""

    model_config = ConfigDict(extra="forbid")

    dataset: Text | None = Field(None, max_length=300, description="NAME or NAME:VERSION, in place of the config's.")
    name: Text | None = Field(None, description="A name for people, up to 200 characters.")
    tags: list[Text] = Field([], max_length=100, description="Each KEY=VALUE.")
    priority: Priority = Field(DEFAULT_PRIORITY, description="Lower starts first.")


class SubmissionBody(OptionsBody):
    """A config, as an object or as the text of a file."""

    config: dict[str, Any] | None = Field(None, description="A training config, or a search (`job_type`).")
    text: Annotated[str, Field(max_length=1_000_000)] | None = Field(None, description="The same as a text.")
    format: Literal["json", "yaml"] = Field("json", description="Of the text.")
    dry_run: bool = Field(False, description="Queue nothing: say what would run, as `misubmit --explain`.")

    def written(self) -> Written:
        """The config as people wrote it. Raises InvalidInput unless there is one, in one form."""
        if (self.config is None) == (self.text is None):
            raise InvalidInput("config", [Problem("", "give either config, an object, or text")])
        return Written.of(self.config or {}) if self.text is None else Written(self.text, self.format)


class SubmissionAnswer(BaseModel):
    """A submission that was queued, or would be."""

    id: str | None = Field(description="Of the training or search; null for a dry run.")
    kind: Literal["training", "job"] = Field(description="job for a search.")
    dataset: str = Field(description="NAME:VERSION, the newest version if none was named.")
    explanation: list[str] = Field(description="Lines for people: what it does and takes.")
    plan: dict[str, JsonValue] | None = Field(description="Of a dry run the same for programs, as `--explain --json`.")


class PlacedProblem(BaseModel):
    """A problem of a config."""

    path: str = Field(description="Such as `optimizer.momentum`; may be empty.")
    message: str = Field(description="The problem and the remedy.")
    line: int | None = Field(description="In the text, from 1; null: not known.")
    column: int | None = Field(description="In the line, from 1; null: not known.")


class ValidationAnswer(BaseModel):
    """Whether a config could be submitted."""

    valid: bool = Field(description="Whether there is no problem.")
    kind: Literal["training", "job"] | None = Field(description="What it is; null if it has problems.")
    problems: list[PlacedProblem] = Field(description="The first 100.")
    more: int = Field(description="How many further problems there are.")
    explanation: list[str] = Field(description="Lines for people; empty if it has problems.")


@router.post("/submissions", summary="Queue a training or a search")
def submit(context: Given, body: SubmissionBody) -> SubmissionAnswer:
    """As `misubmit`: everything is checked first; nothing is written if anything is wrong. A script's `source` is a
    folder of the submitting machine: submit that with `misubmit`."""
    from mitorch_service.insights.explanation import explanation_json  # loads the searches

    document = build(context, body.written(), body.model_dump(include=set(OptionsBody.model_fields)))
    if body.dry_run:
        plan = explanation_json(document, context.store)
        return SubmissionAnswer(**_answer(context, document), id=None, plan=plan)
    answer = _answer(context, document)
    return SubmissionAnswer(**answer, id=queue(context, document), plan=None)


@router.post("/validate", summary="Check a config while it is written")
def validate(context: Given, body: SubmissionBody) -> ValidationAnswer:
    """Finds every problem that `misubmit` would, with its line; queues nothing."""
    from mitorch_service.submission.text_places import place

    written = body.written()
    try:
        document = build(context, written, body.model_dump(include=set(OptionsBody.model_fields)))
    except InvalidInput as error:
        shown = place(written.text, error.problems[:MOST_PROBLEMS])
        problems = [PlacedProblem(path=p.path, message=p.message, line=line, column=at) for p, line, at in shown]
        more = len(error.problems) - len(problems)
        return ValidationAnswer(valid=False, kind=None, problems=problems, more=more, explanation=[])
    answer = _answer(context, document)
    return ValidationAnswer(valid=True, kind=answer["kind"], problems=[], more=0, explanation=answer["explanation"])


def _answer(context: Context, document: Training | Job) -> dict[str, Any]:
    from mitorch_service.insights.explanation import explanation
    from mitorch_service.submission.sas_expiry import storage_warnings

    with context.reading() as store:
        lines = explanation(document, store)
    lines = [*storage_warnings(context.settings, context.clock()), *lines]
    kind = "job" if isinstance(document, Job) else "training"
    return {"kind": kind, "dataset": str(document.dataset), "explanation": lines}

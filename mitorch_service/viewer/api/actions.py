"""Orders for many trainings and searches at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.details.table_details import matching_ids
from mitorch_service.operations.orders import Order, carry_out_all
from mitorch_service.operations.selection import EVERYTHING, Chosen, Selection, select
from mitorch_service.viewer.api.changes import ChangeAnswer, LabelsBody, answer_of, means_of
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given

router = api_router("actions")
MOST_IDS = 1000
MOST_FOUND = 10_000  # by a filter
SECONDS = 20.0  # in which as many are changed as can be


class ActionBody(LabelsBody):
    """An order, and whom it is for."""

    action: Literal["cancel", "retry", "delete", "change"] = Field(
        description="`change`: of what priority, name, note, add_tags and remove_tags say."
    )
    ids: list[Annotated[Text, Field(max_length=200)]] | None = Field(
        None, max_length=MOST_IDS, description="Ids of trainings and searches, or beginnings of ids."
    )
    where: Annotated[Text, Field(max_length=4000)] | None = Field(
        None, description="In place of ids: all trainings that pass this filter, as in `miquery --where`."
    )
    dry_run: bool = Field(False, description="Change nothing: only say for how many it would be.")
    expected: int | None = Field(
        None, ge=0, description="How many a person was told: if by now it is for more, nothing is changed."
    )


class RefusalAnswer(BaseModel):
    """One that was left as it is."""

    id: str = Field(description="Its id.")
    reason: str = Field(description="The reason, with the remedy.")
    kind: str = Field(description="The class of the error in `mitorch_service.errors`.")


class ActionAnswer(BaseModel):
    """The result, one by one."""

    action: str = Field(description="As it was asked for.")
    trainings: int = Field(description="How many trainings it is for.")
    jobs: int = Field(description="How many searches it is for, each with all its trials.")
    changed: list[ChangeAnswer] = Field(description="Those that were changed; empty for a dry run.")
    refused: list[RefusalAnswer] = Field(description="Those that were left as they are.")
    left: int = Field(description="Those that there was no time for: ask again for them.")
    complete: bool = Field(description="False: more trainings may pass the filter; ask again for them.")


@router.post("/actions", summary="One order for many")
def act(context: Given, body: ActionBody) -> ActionAnswer:
    """As `micontrol` with several ids: a refusal stops none of the others."""
    chosen, complete = _chosen(context, body)
    if body.expected is not None and len(chosen) > body.expected:
        problem = f"it is for {len(chosen)} now, not for {body.expected}: look again"
        raise InvalidInput("expected", [Problem(str(body.expected), problem)])
    order = Order(body.action, body.labels())
    _check(order)
    jobs = sum(kind == "job" for kind, _ in chosen)
    answer: dict[str, Any] = {
        "action": body.action,
        "trainings": len(chosen) - jobs,
        "jobs": jobs,
        "complete": complete,
    }
    if body.dry_run:
        return ActionAnswer(**answer, changed=[], refused=[], left=len(chosen))
    done = carry_out_all(means_of(context), order, chosen, SECONDS)
    refused = [RefusalAnswer(id=id, reason=str(error), kind=type(error).__name__) for id, error in done.refused]
    return ActionAnswer(**answer, changed=list(map(answer_of, done.changed)), refused=refused, left=done.left)


def _chosen(context: Context, body: ActionBody) -> tuple[list[Chosen], bool]:
    """The trainings and searches that the order is for, and whether these are all."""
    if bool(body.ids) == (body.where is not None):
        raise InvalidInput("ids", [Problem("", "give either ids of trainings or searches, or where, a filter")])
    if body.where is None:
        with context.reading() as store:
            return select(store, Selection(tuple(body.ids or ())), EVERYTHING).items, True
    with context.reading(SECONDS) as store:
        ids, complete = matching_ids(store, body.where, MOST_FOUND, context.clock())
    return [Chosen("training", id) for id in ids], complete


def _check(order: Order) -> None:
    """Raises InvalidInput for an order that nobody could be given."""
    if order.verb == "change":
        order.labels.check()
    elif order.labels.given:
        what = ", ".join(sorted(order.labels.given))
        raise InvalidInput("action", [Problem(order.verb, f'changes no {what}: write "change", or leave these out')])

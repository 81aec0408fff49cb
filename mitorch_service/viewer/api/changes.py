"""Orders for one training or search: cancel, retry, change of priority and labels, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mitorch_service.operations.lifecycle import Change
from mitorch_service.operations.orders import Labels, Means, Order, carry_out
from mitorch_service.stores.verbs.trainings import Kind
from mitorch_service.viewer.api.parameters import Id, Text, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given

Priority = Annotated[int, Field(ge=-(2**31), lt=2**31, strict=True)]


class ChangeAnswer(BaseModel):
    """A change that was made."""

    kind: Kind = Field(description="training, or job for a search.")
    id: str = Field(description="The whole id.")
    trials: int = Field(description="Of a search: how many trials were changed with it.")
    is_final: bool = Field(description="False where a run must end first: the next pass of the controller sees to it.")


class LabelsBody(BaseModel):
    """The labels to change; what is left out stays as it is, null takes name or note away."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority | None = Field(None, description="Lower starts first. Not for what has ended.")
    name: Text | None = Field(None, description="Up to 200 characters.")
    note: Text | None = Field(None, description="Up to 2,000 characters.")
    add_tags: list[Text] = Field([], max_length=50, description="KEY=VALUE, each in place of those with its key.")
    remove_tags: list[Text] = Field([], max_length=50, description="Keys, or whole tags.")

    def labels(self) -> Labels:
        """The change as operations take it."""
        given = self.model_fields_set & {"name", "note"}
        given |= {"priority"} if self.priority is not None else set()
        given |= {"tags"} if self.add_tags or self.remove_tags else set()
        return Labels(
            frozenset(given), self.priority or 0, self.name, self.note, tuple(self.add_tags), tuple(self.remove_tags)
        )


def means_of(context: Context) -> Means:
    """The means of a request's orders."""
    return Means(context.store, lambda: context.backends, lambda: context.artifacts, context.clock)


def answer_of(change: Change) -> ChangeAnswer:
    return ChangeAnswer(kind=change.kind, id=change.id, trials=change.trials, is_final=change.is_final)


def change_routes(kind: Kind) -> APIRouter:
    """The routes of trainings, or of searches with all their trials."""
    router = api_router(f"{kind}s")
    one = f"/{kind}s/{{id}}"
    what = "training" if kind == "training" else "search with its trials"

    def do(context: Context, order: Order, id: str) -> ChangeAnswer:
        return answer_of(carry_out(means_of(context), order, *resolve(context.store, kind, id)))

    @router.post(f"{one}/cancel", summary=f"Cancel a {what}", operation_id=f"cancel_{kind}")
    def cancel(context: Given, id: Id) -> ChangeAnswer:
        """As `micontrol cancel`: what waits is canceled at once, a run is asked to stop."""
        return do(context, Order("cancel"), id)

    @router.post(f"{one}/retry", summary=f"Queue a {what} again", operation_id=f"retry_{kind}")
    def retry(context: Given, id: Id) -> ChangeAnswer:
        """As `micontrol retry`: a training that ended without being completed; of an active search its failed
        trials."""
        return do(context, Order("retry"), id)

    @router.patch(one, summary=f"Change priority, name, note or tags of a {what}", operation_id=f"change_{kind}")
    def change(context: Given, id: Id, body: LabelsBody) -> ChangeAnswer:
        """As `micontrol priority`, `name`, `note` and `tag`."""
        return do(context, Order("change", body.labels()), id)

    @router.delete(one, summary=f"Delete a {what}", operation_id=f"delete_{kind}")
    def delete(context: Given, id: Id) -> ChangeAnswer:
        """As `micontrol delete`: documents, curves and files, once it has ended."""
        return do(context, Order("delete"), id)

    return router

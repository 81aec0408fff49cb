"""Links that open one page for reading, until they expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from mitorch_service.errors import InvalidInput, NotAllowed, Problem
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.access.sharing import LONGEST, make_share
from mitorch_service.viewer.api.parameters import Text, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Context, Given

router = api_router("shares")


class ShareBody(BaseModel):
    """The page that the link is to open."""

    model_config = ConfigDict(extra="forbid")

    subject: Annotated[Text, Field(max_length=4000)] = Field(
        description="`training/ID`, `job/ID` or `compare/ID,ID,…`; ids may be shortened."
    )
    days: float = Field(7.0, gt=0, le=LONGEST.days, allow_inf_nan=False, description="How long it opens the page.")


class ShareAnswer(BaseModel):
    """The link. Whoever has it may read that page until then; a new token of the server ends it."""

    link: str = Field(description="As the address of this server was called; behind a proxy replace the beginning.")
    path: str = Field(description="The part behind the address of the server.")
    expires: datetime = Field(description="UTC.")


@router.post("/shares", summary="Make a link to one page")
def share(request: Request, context: Given, body: ShareBody) -> ShareAnswer:
    """The page can be read by whoever has the link, without the token; nothing can be changed there, and no other
    page is opened."""
    policy: Policy = request.app.state.policy
    if policy.token is None:
        remedy = "Everyone who reaches this server may read the page by its own address."
        raise NotAllowed("server", "", "open (--no-token)", "shared in part", remedy)
    subject = _whole(context, body.subject)
    try:
        made = make_share(subject, timedelta(days=body.days), context.clock())
    except ValueError as error:
        raise InvalidInput("subject", [Problem(body.subject[:80], str(error))]) from error
    path = f"/share/{made.text(policy.token)}"
    link = f"{request.url.scheme}://{request.headers['host']}{path}"
    return ShareAnswer(link=link, path=path, expires=datetime.fromtimestamp(made.expires, UTC))


def _whole(context: Context, subject: str) -> str:
    """The subject with whole ids. Raises InvalidInput, NotFound, AmbiguousId."""
    kind, _, ids = subject.partition("/")
    if kind not in ("training", "job", "compare"):
        raise InvalidInput("subject", [Problem(subject[:80], "write training/ID, job/ID or compare/ID,ID")])
    with context.reading() as store:
        found = [resolve(store, "job" if kind == "job" else "training", id).id for id in ids.split(",")[:100]]
    return f"{kind}/{','.join(found)}"

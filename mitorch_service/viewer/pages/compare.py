"""The page of several trainings side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.lookup import NOT_THERE, look_up_training
from mitorch_service.insights.training.compare import Comparison, compare, repeats
from mitorch_service.insights.training.curves import MOST_CURVES, label_of
from mitorch_service.stores.base import Store
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
Ids = Annotated[str, Query(max_length=300 * MOST_CURVES)]


@router.get("/compare")
def show(request: Request, context: Given, ids: Ids = "", more: Annotated[str, Query(alias="with")] = "") -> Response:
    """The trainings with these ids, which may be shortened, or names; `with` adds one."""
    given = [part.strip() for part in f"{ids},{more}".split(",") if part.strip()]
    with context.reading() as store:
        whole, problems = _find(store, given)
        if len(whole) > MOST_CURVES:
            raise InvalidInput("ids", [Problem("", f"names {len(whole)} trainings: {MOST_CURVES} at most")])
        if not problems and (more or whole != ids.split(",")) and whole:
            return RedirectResponse(f"/compare?ids={','.join(whole)}", 303)
        comparison = compare([store.trainings.get_training(id) for id in whole])
    labels = [label_of(training) for training in comparison.trainings]
    return render(
        request,
        "compare.html",
        title=f"{len(whole)} trainings: {', '.join(labels[:3])}",
        subject=f"compare/{','.join(whole)}",
        ids=",".join(whole),
        labels=labels,
        comparison=comparison,
        problems=problems,
        groups=json.dumps(_groups(comparison)),
        measures=_measures(comparison),
    )


def _find(store: Store, keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The whole ids, each once, and what is wrong with the others."""
    found, problems = dict[str, None](), []
    for key in keys:
        try:
            found[look_up_training(store, key)] = None
        except NOT_THERE as error:
            problems.append(str(error))
    return list(found), problems


def _measures(comparison: Comparison) -> list[str]:
    """The measures of the charts that the page's script draws: those of the last epochs reported."""
    reported = [training.progress for training in comparison.trainings if training.progress is not None]
    losses = [name for name in ("train_loss", "val_loss") if any(getattr(one, name) is not None for one in reported)]
    return list(dict.fromkeys([*losses, *(name for one in reported for name in one.metrics)]))


def _groups(comparison: Comparison) -> dict[str, str]:
    """Id -> name of its group of repeats, if there are any: trainings that differ by their seed only."""
    return {
        comparison.trainings[index].id: f"repeats of {label_of(comparison.trainings[group[0]])}"
        for group in repeats(comparison.trainings)
        for index in group
    }

"""The data sets: their versions, classes, sample images, and who has trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple, cast

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mitorch_service.errors import NotFound
from mitorch_service.insights.datasets.dataset_report import read_dataset_lines, read_dataset_report
from mitorch_service.insights.datasets.dataset_samples import MOST_SAMPLES, Samples, read_samples
from mitorch_service.insights.datasets.leak_text import leak_text
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.viewer.access.headers import FILE_HEADERS
from mitorch_service.viewer.charts.class_bars import class_bar
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.live.background import Background
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
_WAIT = 0.2  # seconds, for samples within the page
_PATIENT = 30.0
_KEPT = 24  # versions with their samples: some 300 kB each
_CLASSES = 40

Seed = Annotated[int, Query(ge=0, le=999)]


class Split(NamedTuple):
    """A split as the page shows it."""

    name: str
    path: str
    kind: str | None
    images: int | None
    classes: int | None
    bars: Sequence[tuple[str, int, Markup]]  # name, count, bar
    more: int
    leaks: str = ""  # what it shares with the splits before it; empty: nothing, or not looked for


@router.get("/datasets")
def show_list(request: Request, context: Given, after: Annotated[str, Query(max_length=300)] = "") -> HTMLResponse:
    """All data sets by name."""
    with context.reading() as store:
        lines, further = read_dataset_lines(store, after)
    return render(request, "datasets.html", title="Data sets", lines=lines, further=further, is_first=not after)


@router.get("/datasets/{name}")
def show(
    request: Request, context: Given, name: str, seed: Seed = 0, wait: Annotated[bool, Query()] = False
) -> Response:
    """One version, the newest if none is named. `wait`: until the samples are there."""
    with context.reading() as store:
        report = read_dataset_report(store, _ref(name))
    samples = _samples(request, report.dataset, seed, _PATIENT if wait else _WAIT)
    use = report.use
    return render(
        request,
        "dataset.html",
        title=f"{report.dataset.ref} · Data sets",
        report=report,
        dataset=report.dataset,
        splits=[_split(report.dataset, split) for split in report.dataset.splits()],
        samples=samples,
        seed=seed,
        next_seed=(seed + 1) % 1000,
        use=use,
        is_newest=report.versions[0].version == report.dataset.version if report.versions else True,
    )


@router.get("/datasets/{name}/samples/{index}")
def show_sample(request: Request, context: Given, name: str, index: int, seed: Seed = 0) -> Response:
    """A sample by its place: a copy that this server has made, never a file."""
    with context.reading() as store:
        dataset = store.datasets.get_dataset(_ref(name))
    found = _samples(request, dataset, seed, _PATIENT)
    if found is None or not 0 <= index < min(len(found.samples), MOST_SAMPLES):
        raise NotFound("sample image", f"{name}/{index}")
    headers = {**FILE_HEADERS, "content-disposition": "inline", "cache-control": "private, max-age=3600"}
    return Response(found.samples[index].webp, media_type="image/webp", headers=headers)


def _ref(name: str) -> DatasetRef:
    try:
        return DatasetRef.parse(name)
    except ValueError as error:
        raise NotFound("data set", name, str(error)) from error


def _samples(request: Request, dataset: Dataset, seed: int, seconds: float) -> Samples | None:
    state = request.app.state
    if not hasattr(state, "dataset_samples"):
        state.dataset_samples = Background(_KEPT)
    kept = cast("Background[Samples]", state.dataset_samples)
    key = (dataset.id, dataset.created_at, seed)
    return kept.get(key, lambda: read_samples(dataset, seed), seconds)


def _split(dataset: Dataset, name: str) -> Split:
    contents = dataset.contents.get(name)
    path = dataset.splits()[name].path
    if contents is None:
        return Split(name, path, None, None, None, [], 0)
    counts = sorted(contents.counts, key=lambda one: -one.count)
    most = max((one.count for one in counts), default=0)
    bars = [(one.name, one.count, class_bar(one.count, most)) for one in counts[:_CLASSES]]
    leaks = leak_text(contents.leaks) if contents.leaks is not None and contents.leaks.found() else ""
    more = contents.classes - len(bars)
    return Split(name, path, contents.kind, contents.images, contents.classes, bars, more, leaks)

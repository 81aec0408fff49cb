"""Views of searches, computed in the background and kept: no request waits for ten thousand trials or a forest."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.insights.search.search_view import Importance, SearchView, read_importance, read_view
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.viewer.context import Context

_LOG = logging.getLogger(__name__)
_KEPT = 6  # searches: of 10,000 trials each takes some 15 MB
_READ_SECONDS = 60.0
_REST = 5.0  # times as long as it took, a view is shown before it is read anew
_LEAST_RESULTS = 4  # for an importance
_MORE = 1.1  # times as many results, until the importance of a search that goes on is computed anew

_Version = tuple[object, ...]


@dataclass
class _Kept:
    """The view of one search, and how it is kept up to date."""

    version: _Version | None = None
    view: SearchView | None = None
    importance: Importance | None = None
    again_at: float = 0.0
    is_reading: bool = False
    has_read: threading.Event = field(default_factory=threading.Event)
    problem: Exception | None = None
    weighs: bool = False  # the importance is being computed


class SearchViews:
    """Called from the threads of requests. What it begins ends with the process."""

    def __init__(self, weigh: Callable[[SearchInsight, SearchView], Importance] = read_importance) -> None:
        self._weigher = weigh
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._readers = threading.Semaphore(2)
        self._weighers = threading.Semaphore(1)

    def view(self, context: Context, job: Job, counts: Mapping[str, int], seconds: float) -> SearchView | None:
        """The view of the search as it is now, or lately was; None if it takes longer than so many seconds. Raises what
        the reading raised."""
        version = (job.status, *sorted(counts.items()))
        with self._lock:
            kept = self._kept.setdefault(job.id, _Kept())
            self._kept.move_to_end(job.id)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            if kept.version != version and not kept.is_reading and time.monotonic() >= kept.again_at:
                kept.is_reading, kept.problem = True, None
                kept.has_read.clear()
                _begin(self._read, context, job, version, kept)
        if kept.is_reading:
            kept.has_read.wait(seconds)
        if kept.problem is not None:
            raise kept.problem
        return kept.view

    def known(self, job_id: str) -> SearchView | None:
        """The view as far as it is kept; nothing is begun."""
        with self._lock:
            kept = self._kept.get(job_id)
        return None if kept is None else kept.view

    def importance(self, job_id: str) -> tuple[Importance | None, bool]:
        """The importance as far as it is known, and whether it is being computed."""
        with self._lock:
            kept = self._kept.get(job_id)
        return (None, False) if kept is None else (kept.importance, kept.weighs)

    def _read(self, context: Context, job: Job, version: _Version, kept: _Kept) -> None:
        begun = time.monotonic()
        try:
            with self._readers, context.reading(_READ_SECONDS) as store:
                view, insight = read_view(store, job, context.clock())
            kept.view, kept.version = view, version
            self._weigh_if_needed(kept, view, insight)
        except Exception as error:  # noqa: BLE001 - raised for those who wait for it
            kept.problem = error
        finally:
            kept.again_at = time.monotonic() + _REST * (time.monotonic() - begun)
            kept.is_reading = False
            kept.has_read.set()

    def _weigh_if_needed(self, kept: _Kept, view: SearchView, insight: SearchInsight) -> None:
        known = kept.importance.results if kept.importance else 0
        goes_on = view.job.status in ACTIVE_JOBS
        if not kept.weighs and view.results >= _LEAST_RESULTS and view.results > known * (_MORE if goes_on else 1):
            kept.weighs = True
            _begin(self._weigh, kept, view, insight)

    def _weigh(self, kept: _Kept, view: SearchView, insight: SearchInsight) -> None:
        try:
            with self._weighers:
                kept.importance = self._weigher(insight, view)
        except Exception:  # noqa: BLE001 - nobody waits for it; the log tells
            _LOG.exception("the importance of search %s cannot be computed", view.job.id)
        finally:
            kept.weighs = False


def _begin(function: Callable[..., None], *arguments: object) -> None:
    """In a thread that holds up no end of the process."""
    threading.Thread(target=function, args=arguments, daemon=True, name="search-view").start()


def search_views(request: Request) -> SearchViews:
    """Returns the views of this server."""
    state = request.app.state
    if not hasattr(state, "search_views"):
        state.search_views = SearchViews()
    return cast(SearchViews, state.search_views)

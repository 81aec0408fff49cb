"""Reads the log of an attempt from the cluster that ran it, once or as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mitorch_service.backends.base import Backend
from mitorch_service.errors import BackendUnavailable, NotFound
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.insights.training.growing_text import GrowingText
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Attempt, Training
from mitorch_service.stores.base import Store

_BYTES = 65_536
_MOST_BYTES = 1 << 28  # for --tail
_FOLLOWED_BYTES = 1 << 18  # at a time: what is printed beyond it between two looks is left out


def read_log(
    store: Store, backends: Mapping[str, Backend], id: str, number: int | None, lines: int | None = None
) -> str:
    """The end of the log of attempt `number` (None: the last one), credentials masked: the last `lines`, or 64 KB.
    Raises NotFound, AmbiguousId, AmbiguousName, BackendError."""
    training = store.trainings.get_training(_training_id(store, id))
    attempt = _attempt(training, number)
    if attempt is None:
        raise _no_attempt(training, number)
    return mask_secrets(_end(_backend(backends, attempt), attempt.run_name, lines))


def follow_log(
    store: Store,
    backends: Mapping[str, Backend],
    id: str,
    number: int | None,
    lines: int | None,
    wait: Callable[[], object],
) -> Iterator[str]:
    """Yields the end of the log, credentials masked, and then whole lines as they are added, until the attempt has
    ended (with `number` None: until the training has, attempt after attempt). `wait` is called between two looks. A
    cluster that does not answer is asked again. Raises what `read_log` raises."""
    whole = _training_id(store, id)
    shown: Attempt | None = None
    text = GrowingText()
    while True:
        training = store.trainings.get_training(whole)  # read before the log, which is complete once this has ended
        attempt = _attempt(training, number)
        if attempt is None and number is not None:
            raise _no_attempt(training, number)
        if attempt is not None and shown is not None and attempt.number != shown.number:
            yield mask_secrets(_added(text, backends, shown) + text.rest())
            yield f"--- attempt {attempt.number}, cluster {attempt.cluster}\n"
            text = GrowingText()
        if attempt is not None:
            yield mask_secrets(_last_lines(_added(text, backends, attempt), lines))
            lines, shown = None, attempt
        if training.status in ENDED or (number is not None and attempt is not None and attempt.ended_at is not None):
            yield mask_secrets(text.rest())
            return
        wait()


def _added(text: GrowingText, backends: Mapping[str, Backend], attempt: Attempt) -> str:
    backend = _backend(backends, attempt)
    try:
        return text.add(backend.logs(attempt.run_name, _FOLLOWED_BYTES))
    except BackendUnavailable:
        return ""


def _end(backend: Backend, run: str, lines: int | None) -> str:
    """The last lines, or what fits into 64 KB."""
    if lines is None:
        return backend.logs(run, _BYTES)
    size = _BYTES
    while True:
        text = backend.logs(run, size)
        if text.count("\n") > lines or len(text.encode()) < size or size >= _MOST_BYTES:
            return _last_lines(text, lines)
        size *= 4


def _last_lines(text: str, count: int | None) -> str:
    whole = text.splitlines(keepends=True)
    return text if count is None else "".join(whole[max(0, len(whole) - count) :])


def _training_id(store: Store, id: str) -> str:
    kind, whole = look_up_one(store, id)
    if kind == "job":
        raise NotFound("training", whole, "It is a job: give the id of one of its trials.")
    return whole


def _attempt(training: Training, number: int | None) -> Attempt | None:
    return next((one for one in reversed(training.attempts) if number in (None, one.number)), None)


def _no_attempt(training: Training, number: int | None) -> NotFound:
    remedy = f"It has {len(training.attempts)}." if training.attempts else "It has not begun yet: see miquery --why."
    if training.imported_from is not None:
        remedy = f"It was imported from {training.imported_from.system}, which has its log."
    return NotFound(f"attempt {number} of training" if number else "log of training", training.id, remedy)


def _backend(backends: Mapping[str, Backend], attempt: Attempt) -> Backend:
    if attempt.cluster not in backends:
        raise NotFound("cluster", attempt.cluster, "It is not in MITORCH_CLUSTERS.")
    return backends[attempt.cluster]

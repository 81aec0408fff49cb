"""Delivers one callback: the statuses of its training, and its model.

What was delivered is recorded after it: killed in between, the same is sent once more, as with every delivery over a
network.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, BrokenDocument, InvalidInput, MissingExtra, NotFound
from mitorch_service.interop.vott.outgoing.destination import parse_destination
from mitorch_service.interop.vott.outgoing.model_archive import WEIGHTS, pack_model
from mitorch_service.interop.vott.outgoing.model_upload import SECONDS as UPLOAD_SECONDS
from mitorch_service.interop.vott.outgoing.model_upload import upload_model
from mitorch_service.interop.vott.outgoing.status_posts import Ending, Payload, rejection, status_posts
from mitorch_service.interop.vott.outgoing.storage_account import StorageAccount
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable, Web
from mitorch_service.interop.vott.web.web_address import web_address
from mitorch_service.models.callback import Callback, due_at
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.result import EpochResult
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store

LEASE = timedelta(seconds=60)
_POST_SECONDS = 5.0
_HEADERS = {"Content-Type": "application/json"}
_PAUSES = {TrainingStatus.RUNNING: 1.0, TrainingStatus.QUEUED: 3.0}  # seconds until it is looked at again
_PAUSE = 10.0  # of one that waits
_ORPHAN_FOR = timedelta(days=14)  # Storage Queue keeps messages for 7 days, unless told otherwise
_LONGEST = 3600.0  # seconds between two tries
_LONGEST_RUNNING = 60.0  # while the training goes on
_PATIENT_TRIES = 5  # for a model whose storage does not answer, before the end is told without it
_MOST_EPOCHS = 200  # that are posted at a time, of a backlog

Tell = Callable[[str], object]


@dataclass
class _State:
    """A callback with its lease, which is changed with each delivery."""

    callback: Callback
    problem: str | None = None  # of this time
    wait: float | None = None  # seconds that a server asks to wait
    unavailable: bool = False  # whether the model may be stored soon


class Delivery:
    """Delivers callbacks, each by one thread at a time."""

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        web: Web,
        tell: Tell,
        accounts: tuple[StorageAccount, ...] = (),
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._web = web
        self._tell = tell
        self._accounts = accounts

    def deliver(self, callback: Callback) -> None:
        """Sends what there is to send, unless another process does. Raises StoreUnavailable, StoreError."""
        leased = self._store.callbacks.lease_callback(callback, self._store.now() + LEASE)
        if leased is None:
            return
        state = _State(leased)
        row = self._store.callbacks.trainings_of([leased]).get(leased.id)
        if leased.rejected is not None:
            self._deliver_rejection(state, leased.rejected)
        elif row is None:
            self._look_for_orphan(state)
        elif isinstance(row, BrokenDocument):
            self._deliver_rejection(state, "failed: its document cannot be read")
        else:
            self._deliver_training(state, row)

    def _deliver_training(self, state: _State, row: TrainingRow) -> None:
        has_ended = row.status in ENDED
        if row.status == TrainingStatus.COMPLETED:
            self._store_model(state)
        if state.callback.status_url is not None:
            soon = state.unavailable and state.callback.tries < _PATIENT_TRIES
            self._post_all(state, row, Ending(soon, state.problem))
        if not has_ended:
            self._again(state, _PAUSES.get(row.status, _PAUSE))
        elif self._is_delivered(state, row):
            self._store.callbacks.remove_callback(state.callback)
        else:
            self._again(state, None)

    @staticmethod
    def _is_delivered(state: _State, row: TrainingRow) -> bool:
        callback = state.callback
        told = callback.final_posted or callback.status_url is None
        wants = row.status == TrainingStatus.COMPLETED and callback.model_url is not None
        return told and (callback.model_stored or not wants)

    def _post_all(self, state: _State, row: TrainingRow, ending: Ending) -> None:
        results = self._results(row.id, state.callback.posted_epoch)
        if len(results) > _MOST_EPOCHS:  # the rest, and the end, next time
            results, ending = results[:_MOST_EPOCHS], replace(ending, waits=True)
        for post in status_posts(row, state.callback, results, ending):
            if not self._post(state, post.payload, must=post.is_last):
                return
            self._record(state, {**post.recorded, "due": due_at(self._store.now() + LEASE)})

    def _results(self, id: str, after: int) -> list[EpochResult]:
        """The first epochs that were not posted, one more than are posted at a time."""
        records = islice(self._store.runs.curve_records(id, after), _MOST_EPOCHS + 1)
        return [EpochResult.from_document(document) for document in records]

    def _post(self, state: _State, payload: Payload, *, must: bool) -> bool:
        """Returns whether it was posted, or refused although the next one may be taken."""
        url = state.callback.status_url
        assert url is not None
        body = json.dumps(payload).encode()
        try:
            self._web.send("POST", web_address(url), body, len(body), seconds=_POST_SECONDS, headers=_HEADERS)
        except Refused as error:
            self._note(state, f"status: {error}")
            return not must
        except Unavailable as error:
            self._note(state, f"status: {error}", error.wait)
            return False
        return True

    def _store_model(self, state: _State) -> None:
        callback = state.callback
        if callback.model_url is None or callback.model_stored:
            return
        self._record(state, {"due": due_at(self._store.now() + LEASE + timedelta(seconds=UPLOAD_SECONDS))})
        try:
            target = parse_destination(callback.model_url, self._accounts)
            with tempfile.TemporaryDirectory(prefix="mitorch-model-") as folder:
                upload_model(self._web, target, self._packed(callback.id, Path(folder)))
        except Unavailable as error:
            state.unavailable = True
            self._note(state, f"model: {error}", error.wait)
        except (Refused, InvalidInput, ArtifactError, MissingExtra, NotFound, BrokenDocument) as error:
            self._note(state, f"model: {error}")
        except OSError as error:
            self._note(state, f"model: it cannot be packed on this machine ({error.strerror or error})")
        else:
            # An end that was told before, with the problem, is told anew, with the loss of its epoch.
            told = {"posted_epoch": max(0, callback.posted_epoch - 1)} if callback.final_posted else {}
            self._record(state, {"model_stored": True, "final_posted": False, "tries": 0, "problem": None, **told})
            self._tell(f"training {callback.id[:8]}: the model is stored at {target}")

    def _packed(self, id: str, folder: Path) -> Path:
        if not self._artifacts.exists(f"{id}/{WEIGHTS}"):
            raise Refused("its weights are no longer in the artifact store")
        training = self._store.trainings.get_training(id)
        dataset = self._store.datasets.get_dataset(training.dataset)
        return pack_model(self._artifacts, training, _classes(dataset), folder)

    def _deliver_rejection(self, state: _State, reason: str) -> None:
        if state.callback.status_url is None or self._post(state, rejection(reason), must=True):
            self._store.callbacks.remove_callback(state.callback)
        else:
            self._again(state, None)

    def _look_for_orphan(self, state: _State) -> None:
        """A callback whose training was deleted, or is not queued yet: its consumer was killed between the two."""
        if self._store.now() - state.callback.created_at > _ORPHAN_FOR:
            self._store.callbacks.remove_callback(state.callback)
        else:
            self._again(state, 60.0)

    def _note(self, state: _State, problem: str, wait: str | None = None) -> None:
        state.problem = mask_secrets(problem)
        state.wait = float(wait) if wait is not None and wait.isdecimal() else state.wait

    def _again(self, state: _State, pause: float | None) -> None:
        """Gives the lease back. `pause`: seconds until the next look, if nothing failed; None: the training has ended,
        and something is left to deliver."""
        now, callback = self._store.now(), state.callback
        if state.problem is None:
            changes = {"due": due_at(now + timedelta(seconds=pause or 1.0)), "tries": 0, "problem": None}
            self._record(state, changes)
            return
        since = callback.failing_since or (now if pause is None else None)
        longest = _LONGEST if pause is None else _LONGEST_RUNNING
        seconds = min(longest, max(state.wait or 0.0, random.uniform(0.5, 1.0) * 2.0 ** min(callback.tries, 12)))
        if state.problem != callback.problem:
            self._tell(f"training {callback.id[:8]}: {state.problem}; retrying at {_after(now, seconds):%H:%M:%S}")
        after = callback.model_copy(update={"failing_since": since})
        if after.is_over(now):
            self._tell(f"training {callback.id[:8]}: given up after 30 days: {state.problem}")
            self._store.callbacks.remove_callback(callback)
            return
        due = due_at(_after(now, seconds))
        tries = callback.tries + 1
        self._record(state, {"due": due, "tries": tries, "problem": state.problem, "failing_since": since})

    def _record(self, state: _State, changes: Mapping[str, object]) -> None:
        recorded = self._store.callbacks.record_callback(state.callback, changes)
        if recorded is None:
            raise LeaseEnded(state.callback.id)
        state.callback = recorded


class LeaseEnded(Exception):
    """Another process delivers this callback now."""


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def _classes(dataset: Dataset) -> list[str]:
    """The names of the classes, in the order of their ids in the network."""
    contents = dataset.contents.get("train")
    return [] if contents is None else [count.name for count in contents.counts]

"""Claims trainings and asks the clusters for their runs, many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from mitorch_service.backends.base import Backend
from mitorch_service.controller.apply.attempt_end import AttemptEnds
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.pass_report import Counted
from mitorch_service.controller.plan.actions import (
    Launch,
    Submit,
)
from mitorch_service.controller.plan.refusal import refused
from mitorch_service.errors import (
    BackendError,
    BackendUnavailable,
    RunRefused,
)
from mitorch_service.stores.base import Store

_SUBMISSION_SECONDS = 90.0  # for a step's submissions to one cluster; what it accepts later is found by its name


class Launching:
    """Of one pass."""

    def __init__(self, store: Store, backends: Mapping[str, Backend], events: EventLog) -> None:
        self._store, self._backends, self._events = store, backends, events
        self._attempt_ends = AttemptEnds(store, backends, events)
        self._refusing: set[str] = set()  # clusters, in this pass

    def launch(self, launches: list[Launch], now: datetime) -> None:
        """Those that this pass wins are submitted; a cluster that has just refused gets no more."""
        launches = [launch for launch in launches if launch.attempt.cluster not in self._refusing]
        claims = [(launch.training_id, launch.attempt) for launch in launches]
        ours = self._store.queue.claim_trainings(claims)
        self.submit([launch for launch, won in zip(launches, ours, strict=True) if won], now)

    def submit(self, claimed: Sequence[Launch | Submit], now: datetime) -> None:
        """No run is asked for before its claim is in the store, and one that this pass does not live to record as
        submitted is found by its name in the next."""
        parts: dict[str, list[Launch | Submit]] = {}
        for one in claimed:
            parts.setdefault(one.attempt.cluster, []).append(one)
        asked = {cluster: partial(self._submit_to, cluster, part) for cluster, part in parts.items()}
        answered = self._events.answers(asked, _SUBMISSION_SECONDS)
        accepted = []
        for cluster, answers in answered.items():
            for one, answer in zip(parts[cluster], answers, strict=True):
                if isinstance(answer, BackendError):
                    continue
                accepted.append((one.training_id, one.attempt.number, answer))
                text = f"training {one.training_id[:8]} launched on {cluster} (attempt {one.attempt.number})"
                self._events.note(text, Counted.LAUNCHED)
        self._store.queue.record_submissions(accepted, now)
        for cluster, answers in answered.items():
            self._note_errors(answers)
            self._give_back(cluster, parts[cluster], answers, now)

    def _submit_to(self, cluster: str, claimed: Sequence[Launch | Submit]) -> list[str | BackendError | None]:
        """For each where to look at the run, or why the cluster has not accepted it."""
        backend = self._backends[cluster]
        try:
            requests = [backend.prepare(o.training_id, o.attempt.number, o.resources) for o in claimed]
        except BackendUnavailable:
            raise
        except BackendError as error:  # nothing was asked for
            return [RunRefused(cluster, error.problem, error.remedy) for _ in claimed]
        return backend.submit_all(requests)

    def _note_errors(self, answers: Sequence[str | BackendError | None]) -> None:
        """Each text once: what is wrong with a cluster is wrong for all."""
        for text in dict.fromkeys(str(answer) for answer in answers if isinstance(answer, BackendError)):
            self._events.note(text, failed=True)

    def _give_back(
        self,
        cluster: str,
        claimed: Sequence[Launch | Submit],
        answers: Sequence[str | BackendError | None],
        now: datetime,
    ) -> None:
        """Ends the attempts that the cluster has refused. In doubt nothing is ended: the next pass asks again."""
        pairs = list(zip(claimed, answers, strict=True))
        # One that was claimed earlier may have been accepted then, under other settings.
        takes_others = any(isinstance(one, Launch) and not isinstance(answer, BackendError) for one, answer in pairs)
        for one, answer in pairs:
            if isinstance(answer, RunRefused):
                with self._events.going_on():
                    training = self._store.trainings.get_training(one.training_id)
                    self._attempt_ends.end(refused(training, one.attempt, answer, takes_others), now, began=False)
        if not takes_others and any(isinstance(answer, RunRefused) for answer in answers):
            self._refusing.add(cluster)

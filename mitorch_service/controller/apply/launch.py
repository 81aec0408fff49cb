"""Claims trainings and submits their runs, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.controller.apply.attempt_end import AttemptEnds
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.wanted import NOTHING, Wanted
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.actions import Launch, Submit
from mitorch_service.controller.plan.refusal import refused
from mitorch_service.errors import BackendError, BackendUnavailable, RunRefused
from mitorch_service.stores.base import Store

_CANCEL_SECONDS = 20.0  # for the former runs of a step's trainings on one cluster
_SUBMISSION_SECONDS = 90.0  # for a step's submissions to one cluster; a run accepted later is found by its name

Answer = str | BackendError | None  # where to look at an accepted run, if the cluster says so; or why it was not


class Launcher:
    """Launches the trainings of one pass."""

    def __init__(
        self, store: Store, backends: Mapping[str, Backend], events: EventLog, wanted: Wanted = NOTHING
    ) -> None:
        self._store = store
        self._backends = backends
        self._events = events
        self._wanted = wanted
        self._attempt_ends = AttemptEnds(store, backends, events)
        self._refusing: set[str] = set()  # clusters that have refused all runs of a step of this pass
        self._is_over = False  # whether the trainings that follow are left to the next pass

    def launch(self, launches: Sequence[Launch], now: datetime) -> None:
        """Claims the trainings and submits those that this pass won; a cluster that does not answer gets none."""
        launches = [one for one in self._in_turn(launches) if not self._events.is_silent(one.attempt.cluster)]
        announced = {launch.training_id for launch in launches if self._wanted.training(launch.of_search)}
        claims = [(launch.training_id, launch.attempt) for launch in launches]
        won = self._store.queue.claim_trainings(claims, announced)
        claimed = [launch for launch, is_won in zip(launches, won, strict=True) if is_won]
        self._cancel_replaced(claimed)
        self.submit(claimed, now)

    def _in_turn(self, launches: Sequence[Launch]) -> Iterator[Launch]:
        """Yields those before the first one that was meant for a cluster which has just refused: it is left to the next
        pass, and so are those behind it, which would take its other places."""
        for launch in launches:
            self._is_over |= launch.attempt.cluster in self._refusing
            if self._is_over:
                return
            yield launch

    def _cancel_replaced(self, launches: Sequence[Launch]) -> None:
        """Ends the runs of earlier attempts that nobody saw ending: the fence keeps them from writing, not from being
        paid for."""
        names: dict[str, list[str]] = {}
        for launch in launches:
            if launch.replaces is not None:
                names.setdefault(launch.replaces.cluster, []).append(launch.replaces.run_name)
        calls = {cluster: partial(_cancel_all, self._backends[cluster], runs) for cluster, runs in names.items()}
        self._events.call_clusters(calls, _CANCEL_SECONDS)

    def submit(self, claimed: Sequence[Launch | Submit], now: datetime) -> None:
        """Submits the runs of claimed trainings.

        The claim is in the store before its run is submitted. If this pass dies before it records the submission, the
        next one finds the run by its name.
        """
        batches: dict[str, list[Launch | Submit]] = {}
        for one in claimed:
            batches.setdefault(one.attempt.cluster, []).append(one)
        calls = {cluster: partial(self._submit_to, cluster, batch) for cluster, batch in batches.items()}
        answers = self._events.call_clusters(calls, _SUBMISSION_SECONDS)
        self._record([pair for name in answers for pair in zip(batches[name], answers[name], strict=True)], now)
        for cluster, cluster_answers in answers.items():
            self._note_errors(cluster_answers)
            self._end_refused(cluster, list(zip(batches[cluster], cluster_answers, strict=True)), now)

    def _submit_to(self, cluster: str, claimed: Sequence[Launch | Submit]) -> list[Answer]:
        backend = self._backends[cluster]
        try:
            prepared = [self._prepare(backend, one) for one in claimed]
        except BackendUnavailable:
            raise
        except BackendError as error:  # nothing was submitted
            return [RunRefused(cluster, error.problem, error.remedy) for _ in claimed]
        answers = iter(backend.submit_all([one for one in prepared if isinstance(one, RunRequest)]))
        return [next(answers) if isinstance(one, RunRequest) else one for one in prepared]

    def _prepare(self, backend: Backend, one: Launch | Submit) -> RunRequest | RunRefused:
        """The request, or why this one has none: a fault with it keeps no other from its start. Raises BackendError."""
        try:
            return backend.prepare(one.training_id, one.attempt.number, one.resources)
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded with its traceback
            self._events.note_fault(f"training {one.training_id}", error)
            problem = f"the request of training {one.training_id[:8]} cannot be built ({error})"
            return RunRefused(one.attempt.cluster, problem, "See the output of the controller.", of_request=True)

    def _record(self, answered: Sequence[tuple[Launch | Submit, Answer]], now: datetime) -> None:
        accepted: list[tuple[str, int, str | None]] = []
        for one, answer in answered:
            if not isinstance(answer, BackendError):
                accepted.append((one.training_id, one.attempt.number, answer))
                number, cluster = one.attempt.number, one.attempt.cluster
                text = f"training {one.training_id[:8]} launched on {cluster} (attempt {number})"
                self._events.note(text, PassCount.LAUNCHED)
        at = max([now, *(one.attempt.queued_at for one, _ in answered)])  # by the clock of another pass
        self._store.queue.record_submissions(accepted, at)

    def _note_errors(self, answers: Sequence[Answer]) -> None:
        """Records each text once: a fault of the cluster comes with every run."""
        for text in dict.fromkeys(str(answer) for answer in answers if isinstance(answer, BackendError)):
            self._events.note_failure(text)

    def _end_refused(self, cluster: str, answered: Sequence[tuple[Launch | Submit, Answer]], now: datetime) -> None:
        """Ends the attempts that the cluster has refused. If in doubt it ends nothing: the next pass submits again."""
        # A run that was claimed by an earlier pass may have been accepted then, under other settings.
        takes_others = any(isinstance(one, Launch) and not isinstance(answer, BackendError) for one, answer in answered)
        for one, answer in answered:
            if isinstance(answer, RunRefused):
                with self._events.collect_errors(f"training {one.training_id}"):
                    training = self._store.trainings.get_training(one.training_id)
                    self._attempt_ends.end_refused(refused(training, one.attempt, answer, takes_others), now)
        if not takes_others and any(isinstance(answer, RunRefused) for _, answer in answered):
            self._refusing.add(cluster)


def _cancel_all(backend: Backend, names: Sequence[str]) -> None:
    for name in names:
        backend.cancel(name)

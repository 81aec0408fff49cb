"""Verbs of jobs (searches) and their trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

from mitorch_service.errors import BrokenDocument, NotAllowed, NotFound
from mitorch_service.models.search.job import BestTrial, Job
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.search.pareto_front import FrontTrial, front_artifacts
from mitorch_service.models.status import ACTIVE_JOBS, OPEN, JobStatus
from mitorch_service.models.training import Training, TrainingRow, TrialRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import ANY_ARRIVAL, Guarded, Listing, Query
from mitorch_service.stores.search.recounts import first_recount
from mitorch_service.stores.transitions import change_job

_WITHOUT_BULK = ("config", "error", "attempts")
_NOT_OF_A_TRIAL = ("config", "attempts", "status_times", "tags", "artifacts", "dataset")
_PAGE = 1000


class JobVerbs(Verbs):
    """Adds, reads, updates and ends jobs; reads their trials."""

    def add_job(self, job: Job) -> bool:
        """Queues a job; False if one with its id is there already."""
        return self._database.insert("jobs", [job.to_document()]) == 1

    def get_job(self, job_id: str) -> Job:
        """Returns the job. Raises NotFound, BrokenDocument."""
        job = self._database.read_one(Job, "jobs", job_id)
        if job is None:
            raise NotFound("job", job_id)
        return job

    def active_jobs(self) -> Listing[Job]:
        """Returns new and running jobs, by priority, then age."""
        listing: Listing[Job] = Listing()
        for status in ACTIVE_JOBS:
            part = self._database.read(Job, Query("jobs", {"status": status}, order=(("priority", 1), ("arrival", 1))))
            listing.items.extend(part.items)
            listing.broken.extend(part.broken)
        listing.items.sort(key=lambda job: (job.priority, job.arrival))
        return listing

    def ended_among(self, job_ids: Sequence[str]) -> set[str]:
        """Returns those of the jobs that have ended, or are gone."""
        query = Query("jobs", {"_id": tuple(job_ids), "status": ACTIVE_JOBS}, without=_WITHOUT_BULK)
        return {*job_ids} - {str(document["_id"]) for document in self._database.find(query)} if job_ids else set()

    def list_jobs(self, limit: int, name: str | None = None, after: tuple[int, str] | None = None) -> Listing[Job]:
        """Returns jobs, newest first: all, or those with this name. `after` is the (arrival, id) of the last one of the
        page before."""
        where = {} if name is None else {"name": name}
        order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", -1), ("_id", -1))
        return self._database.read(Job, Query("jobs", where, order=order, after=after, limit=limit))

    def tagged_jobs(self, tag: str) -> Iterator[Job]:
        """Yields the jobs with this tag, oldest first, those that cannot be read left out: a page is held at a time."""
        after: tuple[int, str] | None = (-(2**63), "")
        while after is not None:
            order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", 1), ("_id", 1))
            page = list(self._database.find(Query("jobs", {"tags": tag}, order=order, after=after, limit=_PAGE)))
            for document in page:
                with suppress(BrokenDocument):  # the controller quarantines it
                    yield Job.from_document(document)
            after = (page[-1]["arrival"], page[-1]["_id"]) if len(page) == _PAGE else None

    def last_trial_number(self, job_id: str, arrival: int) -> int | None:
        """The highest trial number created so far, or None before the first. A trial's arrival is its job's (`arrival`)
        plus its number, so the last in the queue's order is the one, even if its document is damaged."""
        query = Query(
            "trainings",
            {"job_id": job_id},
            between=("arrival", *ANY_ARRIVAL),
            order=(("arrival", -1), ("_id", -1)),
            limit=1,
            without=_WITHOUT_BULK,
        )
        for document in self._database.find(query):
            trial = document.get("trial")
            number = trial.get("number") if isinstance(trial, dict) else None
            return number if isinstance(number, int) else int(document["arrival"]) - arrival
        return None

    def best_trials(
        self, job_id: str, direction: Direction, limit: int, after: tuple[float, str] | None = None
    ) -> Listing[TrainingRow]:
        """The trials with a finite objective value, best first. `after` is the (value, id) of the last of the page
        before."""
        sign: Literal[1, -1] = 1 if direction == "minimize" else -1
        query = Query(
            "trainings",
            {"job_id": job_id},
            between=("trial.value", float("-inf"), float("inf")),  # leaves out trials without a value
            order=(("trial.value", sign), ("_id", sign)),
            after=after,
            limit=limit,
            without=_WITHOUT_BULK,
        )
        return self._database.read(TrainingRow, query)

    def iterate_best_trials(self, job_id: str, direction: Direction, limit: int) -> Iterator[TrainingRow]:
        """Yields at most `limit` of the `best_trials`, holding a page at a time."""
        after: tuple[float, str] | None = None
        while limit > 0:
            page = self.best_trials(job_id, direction, min(limit, _PAGE), after)
            yield from page.items
            limit -= len(page.items) + len(page.broken)
            last = page.items[-1] if page.items else None
            if last is None or last.trial is None or last.trial.value is None:
                return
            after = (last.trial.value, last.id)

    def open_trials(self, job_id: str, limit: int) -> Listing[TrainingRow]:
        """Trials of a job that have not ended."""
        query = Query("trainings", {"job_id": job_id, "status": OPEN}, limit=limit, without=_WITHOUT_BULK)
        return self._database.read(TrainingRow, query)

    def latest_trials(self, job_id: str, limit: int) -> list[TrialRow]:
        """The trials with the highest numbers, the highest first; those that cannot be read left out."""
        order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", -1), ("_id", -1))
        query = Query("trainings", {"job_id": job_id}, order=order, limit=limit, without=_NOT_OF_A_TRIAL)
        return self._database.read(TrialRow, query).items

    def iterate_trials(self, job_id: str) -> Iterator[TrialRow]:
        """All trials of a job by number, those that cannot be read left out: a page is held at a time."""
        after: tuple[int, str] | None = (-(2**63), "")
        while after is not None:
            order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", 1), ("_id", 1))
            query = Query(
                "trainings", {"job_id": job_id}, order=order, after=after, limit=_PAGE, without=_NOT_OF_A_TRIAL
            )
            page = list(self._database.find(query))
            for document in page:
                with suppress(BrokenDocument):  # the queue's reader quarantines it
                    yield TrialRow.from_document(document)
            after = (page[-1]["arrival"], page[-1]["_id"]) if len(page) == _PAGE else None

    def recent_trainings(self, dataset: str, limit: int) -> list[Training]:
        """The newest trainings on a data set by name, whole; those that cannot be read left out."""
        order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", -1), ("_id", -1))
        return self._database.read(
            Training, Query("trainings", {"dataset.name": dataset}, order=order, limit=limit)
        ).items

    def note_job(self, job_id: str, note: str | None) -> bool:
        """Sets the note on an active job for its owner. False if it has ended meanwhile."""
        return self._change_active(job_id, {"note": note})

    def start_job(self, job_id: str, at: datetime) -> bool:
        """`new` -> `running`, when its first trials are queued. False if another pass was faster, or it has ended."""
        change = change_job(job_id, (JobStatus.NEW,), JobStatus.RUNNING, at, {}, {})
        return self._database.change(change) is not None

    def update_job(self, job_id: str, counts: Mapping[str, int], best: BestTrial | None, at: datetime) -> bool:
        """Records the progress of an active job, which is `running` from the first time on. False if it has ended
        meanwhile."""
        changes = {
            "counts": dict(counts),
            "best": None if best is None else best.to_document(),
        }
        for before in (JobStatus.RUNNING, JobStatus.NEW, JobStatus.RUNNING):  # another pass may start it in between
            since = at if before == JobStatus.NEW else None
            change = change_job(job_id, (before,), JobStatus.RUNNING, since, {}, changes)
            if self._database.change(change) is not None:
                return True
        return False

    def finish_job(
        self,
        job_id: str,
        status: JobStatus,
        at: datetime,
        error: str | None,
        counts: Mapping[str, int],
        best: BestTrial | None,
        front: Sequence[FrontTrial] = (),
        front_version: int | None = None,
    ) -> bool:
        """Ends an active job, with its final counts and winner (of several objectives: its front, of that version),
        whose weights are the job's where it is completed. False if it has ended meanwhile, or has another front."""
        models = front_artifacts(front)
        if best is not None and best.model is not None:
            models["model"] = best.model
        changes = {
            "error": error,
            "counts": dict(counts),
            "best": None if best is None else best.to_document(),
            "artifacts": models if status == JobStatus.COMPLETED else {},
            "recount_due": first_recount(at),
        }
        expect = {"front_version": (front_version,)}
        return self._database.change(change_job(job_id, ACTIVE_JOBS, status, at, expect, changes)) is not None

    def add_artifacts(self, job_id: str, addresses: Mapping[str, str]) -> bool:
        """Adds artifacts, by names without dots, to a completed job. False if it is gone."""
        changes = {f"artifacts.{name}": address for name, address in addresses.items()}
        guard = {"status": (JobStatus.COMPLETED,)}
        return self._database.change(Guarded("jobs", job_id, guard, changes)) is not None

    def request_job_cancel(self, job_id: str, at: datetime) -> None:
        """Requests the end of a job: the controller creates no more trials, cancels those that have not ended, then
        ends it. Raises NotFound; NotAllowed if the job has ended."""
        if not self._change_active(job_id, {"cancel_requested_at": at}):
            raise NotAllowed("job", job_id, self.get_job(job_id).status, "canceled", "It has ended.")

    def set_job_priority(self, job_id: str, priority: int) -> None:
        """Sets the priority of trials still to be created. Raises NotFound; NotAllowed if the job has ended."""
        if not self._change_active(job_id, {"priority": priority}):
            raise NotAllowed("job", job_id, self.get_job(job_id).status, "given a priority", "It has ended.")

    def delete_job(self, job_id: str) -> None:
        """Deletes the document of an ended job whose trials are gone. Raises NotFound, NotAllowed."""
        job = self.get_job(job_id)
        if job.status in ACTIVE_JOBS:
            raise NotAllowed("job", job_id, job.status, "deleted", "Cancel it first.")
        self._database.remove("jobs", job_id, {"status": (job.status,)})
        self._database.remove_between("rungs", f"{job_id}:", f"{job_id};")

    def quarantine_job(self, job_id: object, at: datetime, reason: str, announced: bool = False) -> bool:
        """Fails a job that cannot be read, so that it blocks nothing. `announced`: whether webhooks want to be told."""
        self._database.mend("jobs", job_id)
        changes: dict[str, object] = {"announce_end": True} if announced else {}
        changes |= {"status_times": {JobStatus.FAILED.value: at}, "error": reason}  # the times may be what is broken
        change = change_job(job_id, ACTIVE_JOBS, JobStatus.FAILED, at, {}, changes)
        return self._database.change(change) is not None

    def _change_active(self, job_id: object, changes: Mapping[str, object]) -> bool:
        return self._database.change(Guarded("jobs", job_id, {"status": ACTIVE_JOBS}, changes)) is not None

"""Population based training: what each member does once all have done a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.controller.plan.expansion import study_of
from mitorch_service.controller.plan.paused_trials import PausedTrials, ResumeTrial, rungs_of
from mitorch_service.models.job import Job, trial_id
from mitorch_service.models.population import MAX_MEMBERS, Inheritance
from mitorch_service.models.status import ENDED, ENDED_BADLY, TrainingStatus
from mitorch_service.models.training import TrainingRow, Trial
from mitorch_service.search.base import Study
from mitorch_service.search.samplers.pbt import Exploit, Member, exploit
from mitorch_service.search.space.space import parse_space
from mitorch_service.search.stopping.promotion import next_rung
from mitorch_service.stores.base import Store
from mitorch_service.stores.rungs import NewCourse


@dataclass(frozen=True)
class Place:
    """A member of the population, which is a trial, and where it is."""

    row: TrainingRow
    trial: Trial

    @property
    def pause_at(self) -> int | None:
        return self.trial.pause_at

    def waits(self) -> bool:
        """Whether it may go on: it is paused, or ended badly before its last step."""
        return self.row.is_paused() or (self.row.status in ENDED_BADLY and self.pause_at is not None)

    def is_open(self) -> bool:
        return self.row.status not in ENDED

    def is_lost_at(self, epochs: int) -> bool:
        """Whether it ended badly before it was compared there, or has gone on from another one since."""
        exploited = any(one.epoch == epochs for one in self.trial.lineage or ())
        return exploited or (self.row.status in ENDED_BADLY and self.pause_at == epochs)


@dataclass(frozen=True)
class Population(PausedTrials):
    """The members, and their losses after the steps at which some of them wait."""

    job: Job
    places: Mapping[int, Place]  # by number
    losses: Mapping[int, Mapping[int, float]] = field(default_factory=dict)  # epochs -> number -> loss

    @classmethod
    def observe(cls, store: Store, job: Job) -> Population:
        """Reads the members, and a rung for each step at which some wait."""
        rows = store.rungs.rows_among([trial_id(job.id, number) for number in range(job.search.max_trials)])
        places = {row.trial.number: Place(row, row.trial) for row in rows.values() if row.trial is not None}
        pause_epochs = {place.pause_at for place in places.values() if place.waits() and place.pause_at is not None}
        losses = {
            epochs: {record.number: record.loss for record in store.rungs.rung_records(job.id, epochs, MAX_MEMBERS)}
            for epochs in pause_epochs
        }
        return cls(job, places, losses)

    def go_on(self, most: int) -> list[ResumeTrial]:
        """Those that wait at the lowest step, once nobody is on the way to it. Repeated after some have gone on, it
        tells the same of the others: parents keep their parameters until all have."""
        for epochs in sorted(self.losses):
            if any(place.is_open() and _is_within(place.pause_at, epochs) for place in self.places.values()):
                return []
            waiting = [p for p in self.places.values() if p.pause_at == epochs and p.waits() and _is_wanted(p)]
            found = self._decided(epochs, sorted(waiting, key=lambda place: place.trial.number))
            if found:  # else they ended badly, and there is none to take over from
                return found[: max(most, 0)]
        return []

    def last(self) -> list[ResumeTrial]:
        if any(place.row.status == TrainingStatus.COMPLETED for place in self.places.values()):
            return []
        for epochs in sorted(self.losses, reverse=True):
            losses = self.losses[epochs]
            waiting = [p for p in self.places.values() if p.pause_at == epochs and p.row.is_paused() and _is_wanted(p)]
            finite = [p for p in waiting if math.isfinite(losses.get(p.trial.number, math.inf))]
            if finite:
                best = min(finite, key=lambda place: (losses[place.trial.number], place.trial.number))
                return [ResumeTrial(self.job.id, best.row, None, self.job.priority)]
        return []

    def _decided(self, epochs: int, waiting: Sequence[Place]) -> list[ResumeTrial]:
        space, _ = parse_space(self.job.config)
        study, members = study_of(self.job, space), []
        for number, place in sorted(self.places.items()):
            point = space.point_of(place.trial.parameters)
            lost = place.is_lost_at(epochs)
            if point is not None and (lost or number in self.losses[epochs]):
                members.append(Member(number, point, math.inf if lost else self.losses[epochs][number]))
        goal, found = next_rung(rungs_of(self.job), epochs), []
        for place in waiting:
            decision = exploit(study, members, place.trial.number, epochs, self.job.search.population.share)
            if decision is not None:
                course = self._course(study, epochs, place, decision)
                found.append(ResumeTrial(self.job.id, place.row, goal, self.job.priority, course=course))
            elif place.row.is_paused():
                found.append(ResumeTrial(self.job.id, place.row, goal, self.job.priority))
        return found

    def _course(self, study: Study, epochs: int, place: Place, decision: Exploit) -> NewCourse:
        config, parameters = study.space.at(decision.point)
        parent = self.places[decision.parent].row.id
        inheritance = Inheritance(
            epoch=epochs,
            parent=parent,
            parent_number=decision.parent,
            before=place.trial.parameters,
            after=parameters,
        )
        plain = {key: value for key, value in config.items() if key != "dataset"}  # see new_training
        return NewCourse(plain, inheritance, len(place.trial.lineage or ()))


def _is_within(pause_at: int | None, epochs: int) -> bool:
    return pause_at is not None and pause_at <= epochs


def _is_wanted(place: Place) -> bool:
    return place.row.cancel_requested_at is None

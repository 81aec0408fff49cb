"""Population based training: resumes the members, some from another one's state, after each step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.controller.plan.search.paused_trials import PausedTrials, ResumeTrial, rungs_of
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.population import Inheritance, MemberReplacement
from mitorch_service.models.status import ENDED, ENDED_BADLY, TrainingStatus
from mitorch_service.models.training import TrainingRow, Trial
from mitorch_service.search.base import Study
from mitorch_service.search.samplers.pbt import Exploit, Member, exploit
from mitorch_service.search.stopping.promotion import next_rung


@dataclass(frozen=True)
class MemberTrial:
    """The trial of one member of the population."""

    row: TrainingRow
    trial: Trial

    @property
    def pause_at(self) -> int | None:
        return self.trial.pause_at

    def is_resumable(self) -> bool:
        """Whether it is paused, or ended badly before its last step."""
        return self.row.is_paused() or (self.row.status in ENDED_BADLY and self.pause_at is not None)

    def is_open(self) -> bool:
        return self.row.status not in ENDED

    def is_canceled(self) -> bool:
        return self.row.cancel_requested_at is not None

    def is_lost_at(self, epochs: int) -> bool:
        """Whether it ended badly before it was compared there, or has been replaced there since."""
        replaced = any(one.epoch == epochs for one in self.trial.lineage or ())
        return replaced or (self.row.status in ENDED_BADLY and self.pause_at == epochs)


@dataclass(frozen=True)
class PopulationPlan(PausedTrials):
    """The members, and their losses after the steps at which some of them are paused."""

    job: Job
    study: Study
    members: Mapping[int, MemberTrial]  # by number
    losses: Mapping[int, Mapping[int, float]] = field(default_factory=dict)  # epochs -> number -> loss

    def to_resume(self, most: int) -> list[ResumeTrial]:
        """Resumes the members at the lowest step, once no other is on its way there. Called again after some were
        resumed, it decides the same for the others: parents keep their parameters until all are resumed."""
        for epochs in sorted(self.losses):
            if any(m.is_open() and m.pause_at is not None and m.pause_at <= epochs for m in self.members.values()):
                return []
            resumed = self._decide(epochs, [m for m in self._members_at(epochs) if m.is_resumable()])
            if resumed:  # else all of them ended badly, and there is no good member to replace them
                return resumed[: max(most, 0)]
        return []

    def best_to_resume(self) -> ResumeTrial | None:
        if any(member.row.status == TrainingStatus.COMPLETED for member in self.members.values()):
            return None
        for epochs in sorted(self.losses, reverse=True):
            losses = self.losses[epochs]
            paused = [member for member in self._members_at(epochs) if member.row.is_paused()]
            finite = [member for member in paused if math.isfinite(losses.get(member.trial.number, math.inf))]
            if finite:
                best = min(finite, key=lambda member: (losses[member.trial.number], member.trial.number))
                return ResumeTrial(self.job.id, best.row, None, self.job.priority)
        return None

    def _members_at(self, epochs: int) -> list[MemberTrial]:
        """The members whose next pause is this step, by number, without canceled ones."""
        members = [self.members[number] for number in sorted(self.members)]
        return [member for member in members if member.pause_at == epochs and not member.is_canceled()]

    def _decide(self, epochs: int, resumable: Sequence[MemberTrial]) -> list[ResumeTrial]:
        compared = self._compared(epochs)
        pause_at = next_rung(rungs_of(self.job), epochs)
        resumed: list[ResumeTrial] = []
        for member in resumable:
            decision = exploit(self.study, compared, member.trial.number, epochs, self.job.search.population.share)
            replacement = None if decision is None else self._replacement(epochs, member, decision)
            if replacement is not None or member.row.is_paused():
                resumed.append(
                    ResumeTrial(self.job.id, member.row, pause_at, self.job.priority, replacement=replacement)
                )
        return resumed

    def _compared(self, epochs: int) -> list[Member]:
        """The members that reached the step, and those that are lost there, with an infinite loss."""
        members: list[Member] = []
        for number, member in sorted(self.members.items()):
            point = self.study.space.point_of(member.trial.parameters, options=member.trial.options)
            lost = member.is_lost_at(epochs)
            if point is not None and (lost or number in self.losses[epochs]):
                members.append(Member(number, point, math.inf if lost else self.losses[epochs][number]))
        return members

    def _replacement(self, epochs: int, member: MemberTrial, decision: Exploit) -> MemberReplacement:
        config, parameters = self.study.space.at(decision.point)
        inheritance = Inheritance(
            epoch=epochs,
            parent=self.members[decision.parent].row.id,
            parent_number=decision.parent,
            before=member.trial.parameters,
            after=parameters,
        )
        stored = {key: value for key, value in config.items() if key != "dataset"}  # as new_training does
        options = self.study.space.options(decision.point)
        return MemberReplacement(stored, inheritance, len(member.trial.lineage or ()), options)

"""Population based training as a user writes it in a job, and what its members record of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from mitorch_service.models.base import ConfigSection, Document

MAX_MEMBERS = 1000  # all are looked at together at each step
MAX_STEPS = 100  # each leaves an attempt, and perhaps an entry of the lineage, in the member's document


class PopulationConfig(ConfigSection):
    """How the members of a population, which are the job's trials, learn from each other."""

    step: Annotated[int, Field(ge=1)] | None = None  # epochs from one comparison to the next; None: a tenth of all
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.25  # the worst that go on from one of as many best


class Inheritance(Document):
    """A member went on from another one's state, with parameters of its own."""

    epoch: int  # after which
    parent: str  # training id
    parent_number: int
    before: dict[str, Any]  # the member's parameters until then
    after: dict[str, Any]

    @property
    def origin(self) -> str:
        """Names the state that was taken over."""
        return f"{self.parent}@{self.epoch}"


@dataclass(frozen=True)
class MemberReplacement:
    """The changes to a member that resumes from another member's state."""

    config: Mapping[str, Any]
    inheritance: Inheritance
    lineage_index: int  # of the inheritance in the member's lineage

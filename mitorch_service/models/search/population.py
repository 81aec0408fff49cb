"""Population-based training (Jaderberg et al. 2017): its config in a job, and its record in a member's document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from mitorch_service.models.base import ConfigSection, Document, JsonObject

MAX_MEMBERS = 1000  # all are compared with each other at each step
MAX_STEPS = 100  # each adds an attempt, and perhaps an entry of the lineage, to the member's document


class PopulationConfig(ConfigSection):
    """The exploit and explore steps of a population, whose members are the job's trials."""

    step: Annotated[int, Field(ge=1)] | None = None  # epochs between comparisons; None: a tenth of all epochs
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.25  # the fraction of worst members replaced by as many best ones


class Inheritance(Document):
    """A member's replacement by a copy of another member's state, with new parameters."""

    epoch: int  # after which it happened
    parent: str  # training id
    parent_number: int
    before: JsonObject  # the member's parameters before
    after: JsonObject

    @property
    def origin(self) -> str:
        """The name of the state that was copied."""
        return f"{self.parent}@{self.epoch}"


@dataclass(frozen=True)
class MemberReplacement:
    """The changes to a member that resumes from another member's state."""

    config: Mapping[str, Any]
    inheritance: Inheritance
    lineage_index: int  # of the inheritance in the member's lineage
    options: Mapping[str, int] = field(default_factory=dict)  # of its choices now, by position

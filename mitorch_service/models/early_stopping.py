"""Early stopping as a user writes it in a job: the rule, and the options that the rule has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mitorch_service.models.base import ConfigSection

Rule = Literal["median", "asha", "hyperband", "percentile", "patient"]

_RUNGS = ("min_epochs", "factor")
_SHARES = ("min_epochs", "min_trials", "every")
OPTIONS: dict[Rule, tuple[str, ...]] = {
    "median": _SHARES,
    "asha": _RUNGS,
    "hyperband": _RUNGS,
    "percentile": ("percentile", *_SHARES),
    "patient": ("patience", "min_delta"),
}


class EarlyStopping(ConfigSection):
    """Which trials end before their last epoch. What is None is the rule's own default."""

    rule: Rule = "asha"  # with the default algorithm it needs the fewest epochs
    min_epochs: Annotated[int, Field(ge=1)] | None = None  # none ends earlier
    factor: Annotated[int, Field(ge=2)] | None = None  # one of so many goes on at each rung
    percentile: Annotated[float, Field(gt=0, lt=100)] | None = None  # the share that goes on
    min_trials: Annotated[int, Field(ge=1)] | None = None  # others that must have come as far
    every: Annotated[int, Field(ge=1)] | None = None  # epochs from one decision to the next
    patience: Annotated[int, Field(ge=1)] | None = None  # epochs without an improvement
    min_delta: Annotated[float, Field(ge=0)] | None = None  # what counts as one

    def options(self) -> dict[str, Any]:
        """What is not left to the rule's defaults."""
        return self.model_dump(exclude={"rule"}, exclude_none=True)

    @model_validator(mode="after")
    def _only_what_the_rule_has(self) -> EarlyStopping:
        strange = sorted(set(self.options()) - set(OPTIONS[self.rule]))
        if strange:
            known = ", ".join(OPTIONS[self.rule])
            raise ValueError(f"the rule {self.rule!r} has no option {', '.join(strange)}; it has: {known}")
        return self

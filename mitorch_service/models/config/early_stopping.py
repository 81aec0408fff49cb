"""The early stopping of a job's config: the rule and its options."""

from __future__ import annotations

from typing import Annotated, Literal

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
    """The rule that stops trials before their last epoch. None: the rule's default."""

    rule: Rule = "asha"  # needs the fewest epochs with the default algorithm
    min_epochs: Annotated[int, Field(ge=1)] | None = None  # no trial is stopped before
    factor: Annotated[int, Field(ge=2)] | None = None  # 1/factor of the trials are promoted at each rung
    percentile: Annotated[float, Field(gt=0, lt=100)] | None = None  # the percentage of trials that continue
    min_trials: Annotated[int, Field(ge=1)] | None = None  # other trials that must have reached the epoch
    every: Annotated[int, Field(ge=1)] | None = None  # epochs between decisions
    patience: Annotated[int, Field(ge=1)] | None = None  # epochs without an improvement
    min_delta: Annotated[float, Field(ge=0)] | None = None  # the smallest change that counts as an improvement

    def options(self) -> dict[str, int | float]:
        """Returns the options that are set."""
        return self.model_dump(exclude={"rule"}, exclude_none=True)

    @model_validator(mode="after")
    def _only_options_of_the_rule(self) -> EarlyStopping:
        unknown = sorted(set(self.options()) - set(OPTIONS[self.rule]))
        if unknown:
            known = ", ".join(OPTIONS[self.rule])
            raise ValueError(f"the rule {self.rule!r} has no option {', '.join(unknown)}; it has: {known}")
        return self

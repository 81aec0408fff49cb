"""The choices of a person who splits a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mitorch_service.errors import InvalidInput, Problem

By = Literal["random", "group", "embedding"]


@dataclass(frozen=True)
class SplitRequest:
    """The way to split: `fractions` of the images for val and test, the rest is for train."""

    val: float = 0.2
    test: float = 0.0
    by: By = "random"
    group: str | None = None  # a regular expression or a column (`find_groups`)
    seed: int = 0
    rare_to_train: bool = False  # classes with too few images to be in all parts

    def fractions(self) -> dict[str, float]:
        """The fraction of each part, train first. Raises InvalidInput unless they leave images to train on."""
        problems = [
            Problem(f"--{name}", f"{value:g} must be at least 0 and less than 1")
            for name, value in (("val", self.val), ("test", self.test))
            if not 0 <= value < 1
        ]
        if not problems and self.val + self.test >= 1:
            problems.append(Problem("--val, --test", f"{self.val + self.test:g} leave no image for train: take less"))
        if not problems and self.val + self.test == 0:
            problems.append(Problem("--val", "0 leaves nothing to validate on: take more"))
        if problems:
            raise InvalidInput("midataset split", problems)
        parts = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {name: fraction for name, fraction in parts.items() if fraction > 0}

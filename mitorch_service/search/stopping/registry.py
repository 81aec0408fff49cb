"""The early stopping rules by name."""

from __future__ import annotations

from collections.abc import Callable

from mitorch_service.search.stopping.asha import Asha
from mitorch_service.search.stopping.base import Stopper
from mitorch_service.search.stopping.hyperband import Hyperband
from mitorch_service.search.stopping.patient import Patient
from mitorch_service.search.stopping.percentile import Percentile

DEFAULT = "asha"  # ends in poor optima less often than the median rule: tests/benchmarks/search_quality.py

RULES: dict[str, Callable[..., Stopper]] = {
    "asha": Asha,
    "hyperband": Hyperband,
    "median": lambda max_epochs, **options: Percentile(50.0, **options),
    "percentile": lambda max_epochs, **options: Percentile(**options),
    "patient": lambda max_epochs, **options: Patient(**options),
}


def stopper(rule: str, max_epochs: int, **options: float | None) -> Stopper:
    """Returns the rule of this name for trainings of at most `max_epochs`. `options`: those of the rule's class."""
    return RULES[rule](max_epochs, **options)

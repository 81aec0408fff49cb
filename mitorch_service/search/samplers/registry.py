"""The samplers by name; each module is imported when its sampler is created."""

from __future__ import annotations

import importlib
import importlib.util

from mitorch_service.errors import MissingExtra
from mitorch_service.search.base import Sampler, Study

_MODULES = {  # name -> module, class, packages that it needs
    "auto": ("auto", "AutoSampler", ("numpy", "scipy", "optuna")),
    "grid": ("grid", "GridSampler", ()),
    "random": ("random", "RandomSampler", ()),
    "qmc": ("qmc", "QmcSampler", ("numpy", "scipy")),
    "tpe": ("tpe", "TpeSampler", ("numpy", "scipy", "optuna")),
    "gp": ("gp", "GaussianProcessSampler", ("numpy", "scipy")),
    "cmaes": ("cma_es", "CmaEsSampler", ("numpy", "scipy", "cmaes")),
    "pbt": ("random", "RandomSampler", ()),  # samples the first generation; for the next ones see pbt.py
    "nsga2": ("nsga2", "Nsga2Sampler", ("numpy",)),
}
ALGORITHMS = tuple(_MODULES)


def check_installed(algorithm: str) -> None:
    """Raises MissingExtra if a package that the algorithm needs is not installed; imports nothing."""
    for package in _MODULES[algorithm][2]:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "search")


def sampler(algorithm: str, study: Study) -> Sampler:
    """Returns the sampler of this name for a study. Raises MissingExtra."""
    check_installed(algorithm)
    module, name, _ = _MODULES[algorithm]
    kind: type[Sampler] = getattr(importlib.import_module(f"mitorch_service.search.samplers.{module}"), name)
    return kind(study)

"""The algorithms by name; each is loaded when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util

from mitorch_service.errors import MissingExtra
from mitorch_service.search.base import Sampler, Study

_MODULES = {  # name -> module, class, the package beyond numpy that it needs
    "auto": ("auto", "AutoSampler", ("numpy", "scipy", "optuna")),
    "grid": ("grid", "GridSampler", ()),
    "random": ("random", "RandomSampler", ()),
    "qmc": ("qmc", "QmcSampler", ("numpy", "scipy")),
    "tpe": ("tpe", "TpeSampler", ("numpy", "scipy", "optuna")),
    "gp": ("gp", "GaussianProcessSampler", ("numpy", "scipy")),
    "cmaes": ("cma_es", "CmaEsSampler", ("numpy", "scipy", "cmaes")),
    "pbt": ("random", "RandomSampler", ()),  # draws the first generation; what follows: see `pbt`
    "nsga2": ("nsga2", "Nsga2Sampler", ("numpy",)),
}
ALGORITHMS = tuple(_MODULES)


def check_installed(algorithm: str) -> None:
    """Raises MissingExtra if a package that the algorithm needs is not installed here; imports nothing."""
    for package in _MODULES[algorithm][2]:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "search")


def sampler(algorithm: str, study: Study) -> Sampler:
    """The algorithm, for one study. Raises MissingExtra."""
    check_installed(algorithm)
    module, name, _ = _MODULES[algorithm]
    kind: type[Sampler] = getattr(importlib.import_module(f"mitorch_service.search.samplers.{module}"), name)
    return kind(study)

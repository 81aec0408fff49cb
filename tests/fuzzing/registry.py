"""The targets by name. A new parser comes with a line here or in the module of its neighbours."""

from __future__ import annotations

from importlib import import_module

from tests.fuzzing.target import Target

MODULES = (
    *("submissions", "settings", "data_sets", "messages", "other_systems", "archives", "clusters", "queries"),
    *("weights", "servers"),
)


def load(module: str) -> tuple[Target, ...]:
    """Returns the targets of one of MODULES, which imports what they need."""
    targets: tuple[Target, ...] = import_module(f"tests.fuzzing.targets.{module}").TARGETS
    return targets


def load_all() -> dict[str, Target]:
    """Returns all targets by name."""
    return {target.name: target for module in MODULES for target in load(module)}


def find(name: str) -> Target:
    """Returns a target, of whose neighbours alone the parsers are imported. Raises KeyError."""
    for module in MODULES:
        for target in load(module):
            if target.name == name:
                return target
    raise KeyError(name)

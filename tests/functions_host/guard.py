"""Packages that must not be imported in a Function: it has neither the disk nor the time for them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Forbidden(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"{fullname} is not to be imported in a Function", name=fullname)
        return None


def forbid(packages: Sequence[str]) -> None:
    """From now on, importing them fails, as it does where they are not installed."""
    sys.meta_path.insert(0, _Forbidden(packages))

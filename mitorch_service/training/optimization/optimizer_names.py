"""The names of the optimizers. timm's are read from its source text, because importing it takes seconds."""

from __future__ import annotations

import difflib
import importlib.util
import re
from functools import cache
from pathlib import Path

OURS = ("sgd", "adam", "adamw", "rmsprop")
# These need second derivatives, which the training loop does not compute.
_SECOND_ORDER = frozenset({"adahessian"})
_WRAPPER = "lookahead_"  # timm wraps any of its optimizers in it
_REGISTERED = re.compile(rb"(?:OptimInfo\(\s*name=|\.register_alias\()['\"](\w+)['\"]")


@cache
def unknown_optimizer_problem(name: str) -> str | None:
    """Returns why `name` is not an optimizer, with suggestions; None if it is, or if timm is not installed here."""
    known, name = timm_optimizers(), name.removeprefix(_WRAPPER)
    if not known or name in OURS or name in known or name.startswith("bnb"):  # bitsandbytes: checked by timm
        return None
    if name in _SECOND_ORDER:
        return f"{name} needs second derivatives, which are not computed here; choose another, such as adamw"
    near = difflib.get_close_matches(name.lower(), sorted({*OURS, *known}), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"use {', '.join(OURS)}, or one of timm.optim"
    return f"there is no optimizer {name!r}; {hint}"


@cache
def timm_optimizers() -> frozenset[str]:
    """Returns the names of timm's optimizers; empty if timm is not installed."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    source = (Path(found.origin).parent / "optim" / "_optim_factory.py").read_bytes()
    return frozenset(name.decode() for name in _REGISTERED.findall(source)) - _SECOND_ORDER

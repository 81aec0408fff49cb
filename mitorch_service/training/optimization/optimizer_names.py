"""Which optimizers there are, read from timm's source text: importing timm takes seconds, as it brings torch."""

from __future__ import annotations

import difflib
import importlib.util
import re
from functools import cache
from pathlib import Path

OURS = ("sgd", "adam", "adamw", "rmsprop")
# These need second derivatives, which the training loop does not take.
_SECOND_ORDER = frozenset({"adahessian"})
_WRAPPER = "lookahead_"  # timm puts it around any of its own
_REGISTERED = re.compile(rb"(?:OptimInfo\(\s*name=|\.register_alias\()['\"](\w+)['\"]")


@cache
def unknown_optimizer_problem(name: str) -> str | None:
    """Why there is no optimizer `name`; None if there is, or if that cannot be told here: timm is not installed."""
    known, name = timm_optimizers(), name.removeprefix(_WRAPPER)
    if not known or name in OURS or name in known or name.startswith("bnb"):  # those of bitsandbytes: timm looks for it
        return None
    if name in _SECOND_ORDER:
        return f"{name} needs second derivatives, which are not taken here; choose another such as adamw"
    near = difflib.get_close_matches(name.lower(), sorted({*OURS, *known}), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(OURS)}, or one of timm.optim"
    return f"there is no optimizer {name!r}; {hint}"


@cache
def timm_optimizers() -> frozenset[str]:
    """The names of timm's optimizers; empty where timm is not installed."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    source = (Path(found.origin).parent / "optim" / "_optim_factory.py").read_bytes()
    return frozenset(name.decode() for name in _REGISTERED.findall(source)) - _SECOND_ORDER

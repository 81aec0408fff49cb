"""Which models timm has, read from its source text: importing timm takes seconds, as it brings torch."""

from __future__ import annotations

import difflib
import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(rb"@register_model\b[^\n]*\n(?:@[^\n]*\n)*def (\w+)\(")
# register_model_deprecations(__name__, {'old_name': 'new_name.tag', ...})
_DEPRECATIONS = re.compile(rb"^register_model_deprecations\(.*?^\}", re.MULTILINE | re.DOTALL)
_DEPRECATED = re.compile(rb"^\s*['\"](\w+)['\"]:\s*['\"]", re.MULTILINE)  # one without a successor is None


@cache
def unknown_model_problem(name: str) -> str | None:
    """Why timm has no model `name` (``resnet18`` or, with a tag of its weights, ``resnet18.a1_in1k``).

    None if it has it, or if that cannot be told here: timm is not installed, or the name is that of a hub.
    """
    known = registered_names()
    if not known or ":" in name or name.partition(".")[0] in known:
        return None
    return f"timm has no model {name!r}; {nearest_models(name, known)}"


def nearest_models(name: str, known: frozenset[str]) -> str:
    """``did you mean resnet18 or resnet18d?``, or where to look when nothing is like it."""
    near = difflib.get_close_matches(name.partition(".")[0].lower(), sorted(known), n=3, cutoff=0.6)
    if not near:
        return "list them with: python -c 'import timm; print(timm.list_models())'"
    return f"did you mean {' or '.join(near)}?"


@cache
def registered_names() -> frozenset[str]:
    """The names of timm's models, without tags; empty where timm is not installed."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    names: set[bytes] = set()
    for file in (Path(found.origin).parent / "models").glob("*.py"):
        source = file.read_bytes()
        names.update(_REGISTERED.findall(source))
        for renamed in _DEPRECATIONS.findall(source):
            names.update(_DEPRECATED.findall(renamed))
    return frozenset(name.decode() for name in names)

"""The names of the available models: timm's, the detectors, and those of installed packages.

timm's are read from its source text, because importing it takes seconds (it imports torch).
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from mitorch_service.training.networks.detectors.detector_names import detector_names, parse_detector
from mitorch_service.training.networks.legacy_names import equivalent, nearest_to_original
from mitorch_service.training.plugins import plugin_names

MODELS_GROUP = "mitorch_service.models"  # entry points: functions of (ModelConfig, number of classes)
DETECTION = "object_detection"

_REGISTERED = re.compile(rb"@register_model\b[^\n]*\n(?:@[^\n]*\n)*def (\w+)\(")
# register_model_deprecations(__name__, {'old_name': 'new_name.tag', ...})
_DEPRECATIONS = re.compile(rb"^register_model_deprecations\(.*?^\}", re.MULTILINE | re.DOTALL)
_DEPRECATED = re.compile(rb"^\s*['\"](\w+)['\"]:\s*['\"]", re.MULTILINE)  # a name without a successor maps to None


def resolve_model(name: str) -> str:
    """Translates a name of the original (``MobileNetV2``, ``ResNext50-FPN-RetinaNet``); returns others unchanged."""
    return equivalent(name) or name


@cache
def unknown_model_problem(name: str, task_type: str = "multiclass_classification") -> str | None:
    """Returns why `name` is not a model for this task, with suggestions, or None if it is.

    Models are timm's classifiers (``resnet18`` or, with a weights tag, ``resnet18.a1_in1k``), detectors
    (``resnet50-fpn-fasterrcnn``), and those of installed packages. Also returns None if this cannot be determined
    here: timm is not installed, or the name is a hub's (``hf-hub:…``).
    """
    known = registered_names()
    if not known or ":" in name or name in plugin_names(MODELS_GROUP):
        return None
    ours = resolve_model(name)
    if task_type == DETECTION:
        return _detector_problem(ours, known)
    if ours.partition(".")[0] in known:
        return None
    if parse_detector(ours):
        return f"{name!r} is a detector, not a classifier: set task_type to {DETECTION}, or choose a classifier"
    return f"timm has no model {name!r}; {nearest_models(name, known)}"


def nearest_models(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'resnet18' or 'resnet18d'?``, or how to list models if no name is similar."""
    near = nearest_to_original(name)
    near = near or tuple(difflib.get_close_matches(name.partition(".")[0].lower(), sorted(known), n=3, cutoff=0.6))
    if not near:
        return "list them with: mitrain --list-models PATTERN"
    return f"did you mean {' or '.join(map(repr, near))}?"


def list_models(pattern: str) -> list[str]:
    """Returns the names that contain the pattern, or match it if it has wildcards (``*?[``), ignoring case.

    Lists timm's classifiers, detectors on torchvision's backbones, and models of installed packages, each group
    sorted. A name of the original is translated first.
    """
    pattern = resolve_model(pattern)
    wanted = pattern.lower() if set("*?[") & set(pattern) else f"*{pattern.lower()}*"
    groups = (registered_names(), detector_names(), plugin_names(MODELS_GROUP))
    found = [name for names in groups for name in sorted(names) if fnmatchcase(name.lower(), wanted)]
    if not found and parse_detector(pattern) and unknown_model_problem(pattern, DETECTION) is None:
        return [pattern]  # a detector on one of timm's backbones, which are too many to list
    return found


@cache
def registered_names() -> frozenset[str]:
    """Returns the names of timm's models, without weights tags; empty if timm is not installed."""
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


def _detector_problem(name: str, known: frozenset[str]) -> str | None:
    parsed = parse_detector(name)
    if parsed is not None and (str(parsed) in detector_names() or parsed.backbone.partition(".")[0] in known):
        return None
    if parsed is not None:
        backbones = {*known, *(one.partition("-")[0] for one in detector_names())}
        return f"there is no backbone {parsed.backbone!r}; {nearest_models(parsed.backbone, backbones)}"
    if name.partition(".")[0] in known and not nearest_to_original(name):
        return f"{name!r} is a classifier, not a detector; did you mean '{name}-fpn-retinanet' or '{name}-ssdlite'?"
    return f"there is no detector {name!r}; {nearest_models(name, detector_names())}"

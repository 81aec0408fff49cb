"""Finds the field that a person names, by its whole name or by the last part of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel

from mitorch_service.insights.where.fields import ALIASES, FAMILIES, FIELDS, LOSSES, Field, family_field
from mitorch_service.wording.suggestion import did_you_mean

Known = Callable[[], Iterable[str]]  # names of fields that the trainings have, such as config.my_key; read if needed


def nothing_known() -> Iterable[str]:
    """No names beyond those of the product itself."""
    return ()


def resolve_field(name: str, known: Known = nothing_known) -> Field:
    """Returns the field. Raises ValueError, which names the nearest known one, for a name that is unknown or stands for
    several."""
    name = ALIASES.get(name, name)
    if name in FIELDS:
        return FIELDS[name]
    family, dot, rest = name.partition(".")
    if family in FAMILIES:
        if not rest:
            raise ValueError(f"needs a name behind {family}, such as {family}.{_EXAMPLES[family]}")
        return family_field(family, rest)
    found = _candidates(name, product_names()) or _candidates(name, known())
    if dot and not found and family in _config_keys():
        found = [f"config.{name}"]
    if len(found) > 1:
        raise ValueError(f"{name!r} stands for {' and '.join(found)}: write one of them whole")
    if not found:
        raise ValueError(_unknown(name, known))
    family, _, rest = found[0].partition(".")
    return family_field(family, rest)


_EXAMPLES = {
    "config": "optimizer.name",
    "param": "lr",
    "tag": "team",
    **dict.fromkeys(("metric", "last", "best", "min", "max"), "val_loss"),
}


def _candidates(name: str, whole_names: Iterable[str]) -> list[str]:
    """The whole names that end in this one. A parameter is left out beside the config's key that it sets."""
    found = [whole for whole in dict.fromkeys(whole_names) if f".{whole.partition('.')[2]}".endswith(f".{name}")]
    keys = {whole.partition(".")[2] for whole in found if whole.startswith("config.")}
    return [whole for whole in found if not (whole.startswith("param.") and whole.partition(".")[2] in keys)]


def _unknown(name: str, known: Known) -> str:
    whole = [*FIELDS, *product_names(), *known()]
    words = dict.fromkeys([*FIELDS, *ALIASES, *(one.rpartition(".")[2] for one in whole), *whole])
    families = ", ".join(f"{family}.…" for family in FAMILIES)
    return f"{name!r} is no known field; {did_you_mean(name, words)}known: {', '.join(FIELDS)}, {families}"


@cache
def product_names() -> Sequence[str]:
    """The whole names of losses, of the metrics of the built-in tasks, and of the keys of a training config, without
    those of sections that are off unless they are given: ``base_lr`` is not that of the weight averaging."""
    from mitorch_service.models.config.training_config import BEST_THRESHOLD, METRICS, TrainingConfig

    metrics = dict.fromkeys([*(metric for metrics in METRICS.values() for metric in metrics), BEST_THRESHOLD])
    return [*(f"metric.{name}" for name in (*LOSSES, *metrics)), *(f"config.{path}" for path in _paths(TrainingConfig))]


@cache
def _config_keys() -> frozenset[str]:
    from mitorch_service.models.config.script import ScriptConfig
    from mitorch_service.models.config.training_config import TrainingConfig

    return frozenset({*TrainingConfig.model_fields, *ScriptConfig.model_fields})


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        types = list(_types(field.annotation))
        sections = [one for one in types if isinstance(one, type) and issubclass(one, BaseModel)]
        if not sections:
            yield f"{prefix}{name}"
        for section in sections if NoneType not in types else ():
            yield from _paths(section, f"{prefix}{name}.")


def _types(annotation: Any) -> Iterator[Any]:
    """The types of ``X | None``, but not those within lists."""
    if hasattr(annotation, "__origin__") and annotation.__origin__ in (list, dict, tuple):
        return
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _types(argument)

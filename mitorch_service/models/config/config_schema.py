"""The JSON Schema of every file that misubmit, mitrain and mitest read, by which editors complete and check."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.field_notes import field_notes
from mitorch_service.models.config.script import ScriptConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.search.job import JobConfig

_Schema = dict[str, Any]

_TEXT: _Schema = {"type": "string", "minLength": 1}
_SWITCH: _Schema = {"type": "boolean"}
# Further forms of a field's value, which the sections' own validators convert.
_FORMS: dict[tuple[str, str], list[_Schema]] = {
    ("TrainingConfig", "model"): [_TEXT],
    ("TrainingConfig", "precision"): [{"enum": ["auto", "fp32", "bf16", "fp16"]}],
    ("TrainingConfig", "dataset"): [_TEXT],
    ("ScriptConfig", "dataset"): [_TEXT],
    ("JobConfig", "dataset"): [_TEXT],
    ("ScriptSection", "command"): [_TEXT],
    ("LrSchedulerConfig", "name"): [{"enum": ["cosine_annealing", "linear_decreasing"]}],
    ("LrSchedulerConfig", "warmup"): [{"const": "const"}],
    ("AugmentationConfig", "train"): [_TEXT, {"$ref": "#/$defs/AugmentationStep"}],
    ("AugmentationConfig", "val"): [_TEXT, {"$ref": "#/$defs/AugmentationStep"}],
    ("ResourcesConfig", "cluster"): [_TEXT],
    ("SearchConfig", "max_time"): [{"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[smhd]\s*$"}],
    ("SearchConfig", "early_stopping"): [_SWITCH],
    ("SearchConfig", "refit"): [_SWITCH],
}
_OLD_KEYS: dict[str, _Schema] = {
    "input_size": {"type": "integer", "description": "the original MiTorch's place of model.input_size"},
    "accumulate_grad_batches": {"type": "integer", "description": "the original MiTorch's gradient.accumulate"},
    "num_processes": {"type": "integer", "description": "the original MiTorch's resources.gpus; -1: all"},
}


def config_schema() -> _Schema:
    """Returns the schema of a training config, a script's and a job's: which one, a file's keys decide."""
    roots: list[type[BaseModel]] = [TrainingConfig, ScriptConfig, JobConfig]
    _, schema = models_json_schema([(root, "validation") for root in roots], ref_template="#/$defs/{model}")
    definitions: _Schema = schema["$defs"]
    for section in _sections(roots):
        _describe(definitions[section.__name__], section)
    _accept_short_forms(definitions)
    _complete_searches(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of mitorch-service",
        "type": "object",
        "if": {"required": ["job_type"]},
        "then": {"$ref": "#/$defs/JobConfig"},
        "else": {
            "if": {"required": ["script"]},
            "then": {"$ref": "#/$defs/ScriptConfig"},
            "else": {"$ref": "#/$defs/TrainingConfig"},
        },
        "$defs": definitions,
    }


def sections_of(root: type[BaseModel]) -> list[type[ConfigSection]]:
    """Returns the sections of a config in the order of their first mention, itself first."""
    return list(_sections([root]))


def _sections(roots: list[type[BaseModel]]) -> Iterator[type[ConfigSection]]:
    left: list[type[BaseModel]] = list(roots)
    seen: set[type[BaseModel]] = set()
    while left:
        section = left.pop(0)
        if section in seen or not issubclass(section, ConfigSection):
            continue
        seen.add(section)
        yield section
        left += [model for field in section.model_fields.values() for model in _models_in(field.annotation)]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _describe(schema: _Schema, section: type[ConfigSection]) -> None:
    notes = field_notes(section)
    for name, field in schema["properties"].items():
        if name in notes:
            field["description"] = notes[name].replace("None", "null")
        field.pop("title", None)


def _accept_short_forms(definitions: _Schema) -> None:
    for (section, name), forms in _FORMS.items():
        fields = definitions[section]["properties"]
        described = {key: fields[name].pop(key) for key in ("description", "default") if key in fields[name]}
        fields[name] = {**described, "anyOf": [*forms, fields[name]]}
    for name in ("train", "val"):
        steps = definitions["AugmentationConfig"]["properties"][name]["anyOf"][-1]
        steps["items"] = {"anyOf": [_TEXT, steps["items"]]}
    definitions["TrainingConfig"]["properties"].update(_OLD_KEYS)


def _complete_searches(definitions: _Schema) -> None:
    """Names the keys in a job's config, whose values may all be expressions."""
    config = definitions["JobConfig"]["properties"]["config"]
    known = {**definitions["ScriptConfig"]["properties"], **definitions["TrainingConfig"]["properties"]}
    config["properties"] = {name: {"description": field.get("description", "")} for name, field in known.items()}

"""Writes the config of a message: of a network with its data set, or of a plugin that is run as a script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.interop.vott.annotations.rows import BoxFormat
from mitorch_service.interop.vott.message import TrainingMessage
from mitorch_service.interop.vott.plugins import PROGRAM, FolderPlugin, InstalledPlugin, Network
from mitorch_service.interop.vott.run_plugin import VARIABLE
from mitorch_service.models.blob_storage.sas import without_sas
from mitorch_service.models.config.merge_patch import merge_patch
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetDefinition
from mitorch_service.models.labels import PRIORITIES, name_problems, priority_problems, tag_problems
from mitorch_service.wording.suggestion import did_you_mean, nearest_words

Config = dict[str, JsonValue]

_ADDRESSES = ("annotations", "model", "status")
_CONFIG = {  # a message's key -> the config's
    "epochs": ("max_epochs",),
    "batch_size": ("batch_size",),
    "learning_rate": ("lr_scheduler", "base_lr"),
    "input_size": ("model", "input_size"),
    "pretrained": ("model", "pretrained"),
}
_OPTIONS = ("steps", "name", "tags", "priority", "dataset", "box_format", "config")
_RUN = ("python3", "-m", "mitorch_service.interop.vott.run_plugin")
_SIZES = {"vgg16-ssd": 300}
_SIZE = 640
_BOX_FORMATS: tuple[BoxFormat, ...] = ("corners", "size")


@dataclass(frozen=True)
class Wanted:
    """A message for one of our networks, as it was read."""

    config: Config
    box_format: BoxFormat | None
    dataset: str | None  # the name of the data set; None: by its content
    name: str | None
    tags: tuple[str, ...]
    priority: int | None
    remarks: tuple[str, ...]
    problems: tuple[Problem, ...] = ()  # of what was read; what is wrong with the config comes from its check


def network_wanted(message: TrainingMessage, network: Network, clusters: Sequence[str] | None) -> Wanted:
    """Reads a message for a network. `clusters`: the only ones that see this machine's files; None: all.

    What has a problem is left out, so that the rest can be checked and all be told at once.
    """
    values = message.values
    known = {*_ADDRESSES, "plugin", "plugin_name", *_CONFIG, *_OPTIONS}
    others = [key for key in values if key not in known]
    problems = [
        Problem(key, f"is not known; did you mean {near[0]!r}?")
        for key in others
        if (near := nearest_words(key, [*_CONFIG, *_OPTIONS, *_ADDRESSES]))
    ]
    if message.annotations is None:
        problems.append(Problem("annotations", "is required: the address of a CSV file, https://HOST/PATH.csv"))
    given = {key: _checked(values, key, kind, problems) for key, kind in _KINDS.items()}
    box_format = next((one for one in _BOX_FORMATS if one == given["box_format"]), None)
    problems += _count_problems(values) if given["steps"] is not None else []
    problems += _dataset_problems(given["dataset"])
    if (priority := given["priority"]) is not None:
        problems += (Problem("priority", problem.message) for problem in priority_problems(priority))
    if given["box_format"] is not None and box_format is None:
        problems.append(Problem("box_format", 'must be "corners" (x1,y1,x2,y2) or "size" (x,y,width,height)'))
    patch_problems = list(_patch_problems(given["config"]))
    tags = [tag for tag in given["tags"] if isinstance(tag, str)] if isinstance(given["tags"], list) else []
    tag_faults = [Problem("tags", str(problem)) for problem in tag_problems(tags)]
    name = given["name"]
    name_faults = [Problem("name", str(problem)) for problem in name_problems(name)] if isinstance(name, str) else []
    return Wanted(
        config=_network_config(values, network, None if patch_problems else given["config"], clusters),
        box_format=box_format,
        dataset=given["dataset"] if isinstance(given["dataset"], str) else None,
        name=name if isinstance(name, str) and not name_faults else None,
        tags=message.tags if tag_faults else (*message.tags, *tags),
        priority=priority if isinstance(priority, int) and priority in PRIORITIES else None,
        remarks=(f"not read: {', '.join(others)}",) if others else (),
        problems=(*problems, *patch_problems, *tag_faults, *name_faults),
    )


def named_by_message(problem: Problem, message: TrainingMessage) -> Problem:
    """Returns a problem of the config under the message's key that asked for the value."""
    key = next((key for key, path in _CONFIG.items() if ".".join(path) == problem.path), None)
    return problem if key is None or message.values.get(key) is None else Problem(key, problem.message)


def plugin_config(message: TrainingMessage, plugin: FolderPlugin | InstalledPlugin) -> Config:
    """Returns the config of a script. Its parameters are for people: addresses without their tokens."""
    values = {key: value for key, value in message.values.items() if value is not None}
    words = [PROGRAM] if isinstance(plugin, FolderPlugin) else ["--installed", plugin.name]
    command: list[JsonValue] = [*_RUN, *words]
    script: Config = {"command": command, "env": {VARIABLE: json.dumps(values, ensure_ascii=False)}}
    if isinstance(plugin, FolderPlugin):
        script["source"] = str(plugin.folder)
    shown: Config = {key: without_sas(value) if isinstance(value, str) else value for key, value in values.items()}
    epochs = values.get("epochs")
    config: Config = {"script": script, "parameters": shown}
    if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs > 0:
        config["max_epochs"] = epochs
    return config


def _network_config(
    values: Mapping[str, JsonValue], network: Network, patch: JsonValue, clusters: Sequence[str] | None
) -> Config:
    size = _SIZES.get(network.model, _SIZE)
    model: Config = {"name": network.model, "input_size": size, "pretrained": True}
    config: Config = {
        "task_type": "object_detection",
        "model": model,
        "optimizer": {"name": "sgd", "momentum": 0.9, "weight_decay": 0.0005},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.005, "warmup": "linear"},
        "gradient": {"clip_norm": 10.0},
        "objective": "mAP",
        "keep_weights": "best",
        "batch_size": 4,
    }
    if clusters is not None:
        config["resources"] = {"cluster": list(clusters)}
    for key, path in _CONFIG.items():
        if values.get(key) is not None:
            change: JsonValue = values[key]
            for step in reversed(path):
                change = {step: change}
            assert isinstance(change, dict)
            config = merge_patch(config, change)
    config = merge_patch(config, _by_steps(values))
    return merge_patch(config, patch) if isinstance(patch, dict) else config


def _patch_problems(patch: JsonValue) -> Iterator[Problem]:
    """Whoever may write into the queue may train our networks, and nothing else: a config with a `script` is of
    another kind, and runs any command."""
    known = set(TrainingConfig.model_fields)
    for key in patch if isinstance(patch, dict) else ():
        if key not in known:
            hint = did_you_mean(key, known)
            yield Problem(f"config.{key}", f"is no key of a training config; {hint}known: {', '.join(sorted(known))}")


def _count_problems(values: Mapping[str, JsonValue]) -> Iterator[Problem]:
    """With `steps` both counts become others in the config, whose check would tell those."""
    for key in ("epochs", "steps"):
        value = values.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield Problem(key, f"must be a whole number, 1 or more (it is {json.dumps(value):.60})")


def _dataset_problems(name: JsonValue) -> Iterator[Problem]:
    if isinstance(name, str):
        split = {"path": "-"}
        _, found = check(DatasetDefinition, {"name": name, "version": 1, "train": split, "val": split})
        yield from (Problem("dataset", problem.message) for problem in found)


def _by_steps(values: Mapping[str, JsonValue]) -> Config:
    """VoTT-train's retinanet trains for `epochs` of `steps` batches each, however many images there are."""
    steps, epochs = values.get("steps"), values.get("epochs", 1)
    if not isinstance(steps, int) or not isinstance(epochs, int) or min(steps, epochs) < 1 or isinstance(steps, bool):
        return {}  # which is told
    return {"max_epochs": None, "max_steps": epochs * steps, "eval_every": steps}


_KINDS: dict[str, type] = {
    "steps": int,
    "name": str,
    "tags": list,
    "priority": int,
    "dataset": str,
    "box_format": str,
    "config": dict,
}
_WORDS = {str: "a text", list: "a list of texts KEY=VALUE", int: "a whole number", dict: "an object {…}"}


def _checked(values: Mapping[str, JsonValue], key: str, kind: type, problems: list[Problem]) -> JsonValue:
    value = values.get(key)
    if value is None:
        return None
    wrong = not isinstance(value, kind) or isinstance(value, bool)
    if wrong or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
        problems.append(Problem(key, f"must be {_WORDS[kind]} (it is {json.dumps(value):.60})"))
        return None
    return value

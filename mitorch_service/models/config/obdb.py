"""The settings file of obdb's trainings (github.com/edl78/weed_training)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue, field_validator, model_validator

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetChoice
from mitorch_service.models.search.job import MAX_INITIAL
from mitorch_service.wording.suggestion import did_you_mean

# Keys for obdb's own environment (class lists, plots, later kinds of splits), which have no meaning here.
WITHOUT_MEANING = (
    "annotations_list_gt",
    "auto_annotation_class_map",
    "confidence_threshold_save_img",
    "default_class_map",
    "excluded_frames",
    "fake_dataset_len",
    "first_year_class_map",
    "first_year_tasks",
    "full_hd",
    "metrics_confidence_range",
    "metrics_confidence_range_small",
    "metrics_iou_range",
    "metrics_iou_range_small",
    "wasp_seg_class_map",
)
_OF_A_RESULT = frozenset(("Trial-ID", "Iteration", "Objective", "Status", "best_value"))  # keys that its searches add


def _switch(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError("must be 1 (search) or 0 (train with optimal_hpo_settings)")
    return bool(value)


Rate = Annotated[float, Field(gt=0, le=100)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]
Epochs = Annotated[int, Field(ge=1)]
Gamma = Annotated[float, Field(gt=0, le=1)]


class OptimalSettings(ConfigSection):
    """The parameters of SGD and of the learning rate schedule StepLR."""

    lr: Rate
    momentum: Momentum
    weight_decay: Decay
    step_size: Epochs  # between drops of the learning rate
    gamma: Gamma  # the factor of each drop

    @model_validator(mode="before")
    @classmethod
    def _as_a_search_wrote_it(cls, data: object) -> object:
        return {k: v for k, v in data.items() if k not in _OF_A_RESULT} if isinstance(data, dict) else data


class SherpaParameters(ConfigSection):
    """Ranges [low, high] of the parameters in `OptimalSettings`."""

    lr: tuple[Rate, Rate]
    momentum: tuple[Momentum, Momentum]
    weight_decay: tuple[Decay, Decay]
    step_size: tuple[Epochs, Epochs]
    gamma: tuple[Gamma, Gamma]

    @field_validator("*")
    @classmethod
    def _rising(cls, ends: tuple[float, float]) -> tuple[float, float]:
        low, high = ends
        if low > high:
            raise ValueError("needs low <= high")
        if low == 0 < high:
            raise ValueError("needs low > 0, because the scale is logarithmic")
        return ends


def optimal_settings(config: Mapping[str, JsonValue], value: float | None) -> dict[str, JsonValue] | None:
    """Returns what obdb writes to ``<variant>_settings.json``, which `optimal_hpo_settings` takes, from the config of a
    training whose objective reached `value`; None if it has other parameters than SGD with StepLR."""
    sections = {"optimizer": ("momentum", "weight_decay"), "lr_scheduler": ("base_lr", "step_size", "step_gamma")}
    names = {"base_lr": "lr", "step_gamma": "gamma"}
    found: dict[str, JsonValue] = {} if value is None else {"best_value": value}
    for section, keys in sections.items():
        values = config.get(section)
        if not isinstance(values, dict) or not set(keys) <= values.keys():
            return None
        found |= {names.get(key, key): values[key] for key in keys}
    return dict(sorted(found.items()))


class Variant(ConfigSection):
    """The task for one network: search or train."""

    run_hpo: Annotated[bool, BeforeValidator(_switch)]
    optimal_hpo_settings: OptimalSettings | None = None  # for training without a search
    use_settings_file: JsonValue = None  # a file on obdb's machine, which is not available here

    @model_validator(mode="before")
    @classmethod
    def _settings_only_without_a_search(cls, data: object) -> object:
        """Drops optimal_hpo_settings in a search: obdb's own files have ``false`` there."""
        if isinstance(data, dict) and data.get("run_hpo") in (1, True):
            return {key: value for key, value in data.items() if key != "optimal_hpo_settings"}
        return data

    @model_validator(mode="after")
    def _something_to_train_with(self) -> Variant:
        if not self.run_hpo and self.optimal_hpo_settings is None:
            known = ", ".join(OptimalSettings.model_fields)
            raise ValueError(f"run_hpo 0 needs optimal_hpo_settings: an object with {known}")
        return self


class ObdbSettings(ConfigSection):
    """The settings shared by all variants."""

    variants: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    max_plateau_count: Epochs
    max_train_epochs: Annotated[int, Field(ge=1, le=100_000)] = 10_000  # as in obdb's own files
    search_epochs: Epochs | None = None  # per trial
    num_initial_data_points: Annotated[
        Annotated[int, Field(ge=1, le=MAX_INITIAL)] | None,
        BeforeValidator(lambda value: None if value == "infer" else value),
    ] = None
    max_num_trials: Epochs | None = None
    sherpa_parameters: SherpaParameters | None = None
    annotations_list: list[Annotated[str, Field(min_length=1)]] | None = None  # tasks in the annotations database
    dataset_dir: Annotated[str, Field(min_length=1)] | None = None  # the folder of their images
    save_dir: Annotated[str, Field(min_length=1)] | None = None  # gets the weights and settings of each winner
    writer_dir: Annotated[str, Field(min_length=1)] | None = None  # gets TensorBoard's events of each winner
    val_every: Annotated[int, Field(ge=2)] = 10  # our extension: of so many frames one validates
    dataset: DatasetChoice | None = None  # our extension: a registered one, in place of annotations_list
    config: dict[str, JsonValue] = {}  # our extension: a merge patch for every training config


@dataclass(frozen=True)
class ObdbFile:
    """A validated file."""

    settings: ObdbSettings
    variants: dict[str, Variant]  # the networks to train
    ignored: list[str] = field(default_factory=list)  # keys that have no meaning here


def read_obdb(data: Mapping[str, object]) -> tuple[ObdbFile | None, list[Problem]]:
    """Validates a file; returns it, or None with all problems."""
    listed = data.get("variants")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    entries = {k: v for k, v in data.items() if k in names or (isinstance(v, dict) and "run_hpo" in v)}
    rest = {k: v for k, v in data.items() if k not in entries and k not in WITHOUT_MEANING}
    settings, problems = check(ObdbSettings, {k: v for k, v in rest.items() if k in ObdbSettings.model_fields})
    known = [*ObdbSettings.model_fields, *WITHOUT_MEANING, *names]
    problems += [_unknown(key, known) for key in rest if key not in ObdbSettings.model_fields]
    variants: dict[str, Variant] = {}
    for name in dict.fromkeys(names):
        problems += _add_variant(variants, name, entries)
    if settings is not None and not problems:
        problems += _missing(settings, variants)
    if settings is None or problems:
        return None, problems
    ignored = [key for key in data if key in WITHOUT_MEANING]
    ignored += [f"{name}.use_settings_file" for name, one in variants.items() if one.use_settings_file is not None]
    return ObdbFile(settings, variants, ignored), []


def _add_variant(variants: dict[str, Variant], name: str, entries: Mapping[str, object]) -> list[Problem]:
    if name not in entries:
        return [Problem(name, f'is one of the variants, but has no entry: add "{name}": {{"run_hpo": 1}}')]
    if not isinstance(entries[name], dict):
        return [Problem(name, 'must be an object such as {"run_hpo": 1}')]
    variant, wrong = check(Variant, entries[name])
    if variant is not None:
        variants[name] = variant
    return [Problem(f"{name}.{problem.path}".rstrip("."), problem.message) for problem in wrong]


def _missing(settings: ObdbSettings, variants: Mapping[str, Variant]) -> list[Problem]:
    """Returns a problem for each missing setting that a search needs."""
    searched = next((name for name, variant in variants.items() if variant.run_hpo), None)
    needed = ("search_epochs", "max_num_trials", "sherpa_parameters") if searched is not None else ()
    absent = [name for name in needed if getattr(settings, name) is None]
    return [Problem(name, f"is required, as {searched} has run_hpo 1") for name in absent]


def _unknown(key: str, known: list[str]) -> Problem:
    hint = did_you_mean(key, known)
    return Problem(key, f"unknown key; {hint}known: {', '.join(ObdbSettings.model_fields)}, and one for each variant")

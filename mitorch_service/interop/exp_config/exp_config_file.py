"""The file exp_config.json of TensorFlow's object detection on Azure ML.

Its programs: github.com/microsoft/dstoolkit-objectdetection-tensorflow-azureml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from mitorch_service.errors import Problem
from mitorch_service.interop.exp_config.base_models import unknown_base_model
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetChoice
from mitorch_service.wording.suggestion import nearest_words

LATEST = "latest"
WITHOUT_MEANING = ("TF_VERSION",)
_MOST_NODES = 1000  # of a compute cluster, and trials of a search
_ALIASES = {"DOCKER_IMAGE_NAME": "DOCKER_IMAGE"}  # what the original's code reads -> what its documents say
_SEGMENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?")

Text = Annotated[str, Field(min_length=1)]


def _segment(text: str) -> str:
    if not _SEGMENT.fullmatch(text):
        raise ValueError("must be the name of one folder: letters, digits, . _ - only")
    return text


def _version_file(text: str) -> str:
    if text.lower() == LATEST:
        return LATEST
    if "/" in text or "\\" in text or not text.lower().endswith(".csv"):
        raise ValueError(f'must be "{LATEST}", or the name of a .csv file in the folder datasets')
    return text


Segment = Annotated[str, AfterValidator(_segment)]
VersionFile = Annotated[str, AfterValidator(_version_file)]
Threshold = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]


class FirstStage(ConfigSection):
    """The region proposal network of Faster R-CNN."""

    STRIDE: Literal[4, 8, 16, 32] | None = None  # pixels of the image per cell of the only map of features
    NMS_IOU_THRESHOLD: Threshold | None = None  # proposals that overlap more are one
    NMS_SCORE_THRESHOLD: Threshold | None = None  # proposals below it are left out
    MAX_PROPOSALS: Annotated[int, Field(ge=1, le=100_000)] | None = None  # of an image
    LOCALIZATION_LOSS_WEIGHT: Weight | None = None
    OBJECTNESS_LOSS_WEIGHT: Weight | None = None


class ModelParams(ConfigSection):
    """The model and its parameters."""

    BASE_MODEL: Text  # of TensorFlow's model zoo, or one of our detectors
    FIRST_STAGE: FirstStage = FirstStage()


class RunParams(ConfigSection):
    """The length of the run."""

    STEPS: Annotated[int, Field(ge=1, le=10**9)]  # batches


class ExpConfig(ConfigSection):
    """The whole file."""

    ENV_CONFIG_FILE: Text | None = None  # names the workspace
    DESCRIPTION: str = ""
    EXP_NAME: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]  # the experiment
    COMPUTE_NAME: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    DOCKER_IMAGE: Text | None = None
    DATA_MOUNT: Text  # the datastore, or a folder of this machine
    IMAGE_TYPE: Segment  # the use case: the folder in it
    TRAIN_CSV: VersionFile = LATEST
    TEST_CSV: VersionFile = LATEST
    EVAL_CONF: Threshold = 0.5  # from which a detection counts
    RUN_PARAMS: RunParams
    MODEL_PARAMS: ModelParams
    HYPERTUNE: bool = False
    NODES: Annotated[int, Field(ge=1, le=_MOST_NODES)]
    dataset: DatasetChoice | None = None  # our extension: a registered one, in place of the CSV files
    config: dict[str, JsonValue] = {}  # our extension: a merge patch for the training config


@dataclass(frozen=True)
class ExpConfigFile:
    """A validated file."""

    settings: ExpConfig
    ignored: list[str] = field(default_factory=list)  # keys that have no meaning here


def read_exp_config(data: Mapping[str, JsonValue]) -> tuple[ExpConfigFile | None, list[Problem]]:
    """Validates a file; returns it, or None with all problems, one for each key."""
    given = {_ALIASES.get(key, key): value for key, value in data.items() if key not in WITHOUT_MEANING}
    settings, problems = check(ExpConfig, given)
    problems = _one_for_each(_without_misspelt([*problems, *_contradictions(data)]))
    if settings is None or problems:
        return None, problems
    return ExpConfigFile(settings, [key for key in data if key in WITHOUT_MEANING]), []


def _contradictions(data: Mapping[str, JsonValue]) -> Iterator[Problem]:
    """Yields what is wrong beyond the form of a key."""
    for alias, key in _ALIASES.items():
        if alias in data and key in data:
            yield Problem(alias, f"says what {key} says: remove one of them")
    params = data.get("MODEL_PARAMS")
    name = params.get("BASE_MODEL") if isinstance(params, dict) else None
    if isinstance(name, str) and name and (problem := unknown_base_model(name)):
        yield Problem("MODEL_PARAMS.BASE_MODEL", problem)
    if data.get("HYPERTUNE") is True and data.get("NODES") == 1:
        yield Problem("NODES", "is the number of runs that HYPERTUNE compares: 2 or more (it is 1)")


def _without_misspelt(problems: list[Problem]) -> list[Problem]:
    """Leaves out a required key that is there, but misspelt, which is told already."""
    required = {problem.path for problem in problems if problem.message == "is required"}
    meant: set[str] = set()
    for problem in problems:
        if problem.message.startswith("unknown key"):
            section, dot, key = problem.path.rpartition(".")
            beside = [path.rpartition(".")[2] for path in required if path.rpartition(".")[0] == section]
            meant |= {f"{section}{dot}{near}" for near in nearest_words(key, beside)}
    return [problem for problem in problems if problem.path not in meant or problem.path not in required]


def _one_for_each(problems: list[Problem]) -> list[Problem]:
    return list({problem.path: problem for problem in reversed(problems)}.values())[::-1]

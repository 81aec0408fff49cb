"""The config of a script: a user's own program, queued like a training."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue, field_validator

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection, JsonObject
from mitorch_service.models.config.training_config import ResourcesConfig, TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetChoice, DatasetRef

# Replaces the data set of a script without one; no data set can be registered under this name.
NO_DATASET = DatasetRef(name="-")
PLACEHOLDERS = ("parameters", "parameters_file", "train", "val", "test")
DATASET_FILES = ("train", "val", "test")
MAX_DIFF = 20_000  # characters
MAX_PACKAGES = 500
MAX_LEFT_OUT = 50

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ESCAPED = re.compile(r"^\{(\{[a-z_]+\})\}$")  # a whole word
_IN_WORD = re.compile(r"\{(\{(?:parameters|parameters_file|train|val|test)\})\}|\{(parameters_file|train|val|test)\}")
_PARAMETER = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]*$")
_SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|PWD|CREDENTIALS?|(API|ACCESS|ACCOUNT|PRIVATE)_?KEY|SAS|AUTH)$")
_MASK = "***"


class GitRecord(ConfigSection):
    """The git state of a script's code at submission."""

    commit: str
    branch: str | None = None
    remote: str | None = None  # without credentials
    diff: Annotated[str, Field(max_length=MAX_DIFF)] = ""  # of tracked files against the commit, perhaps truncated
    diff_is_whole: bool = True


class CodeRecord(ConfigSection):
    """A script's code at submission. The same code has the same archive."""

    archive: Annotated[str, Field(pattern=r"^code/[0-9a-f]{64}\.tar\.gz$")]  # in the artifact store
    path: str | None = None  # of `source` on the submitting machine; None in documents of older versions
    files: int
    size: int  # bytes, unpacked
    git: GitRecord | None = None  # None: not in a repository
    python: str  # the version on the submitting machine, as for the packages
    packages: Annotated[list[str], Field(max_length=MAX_PACKAGES)] = []  # name==version
    # The first files and folders below `source` that are not in the archive, because they hold credentials.
    left_out: Annotated[list[str], Field(max_length=MAX_LEFT_OUT)] = []

    @property
    def digest(self) -> str:
        """The SHA-256 of the archive's content before compression."""
        return self.archive.removeprefix("code/").removesuffix(".tar.gz")


def _words(value: object) -> object:
    """Splits a command into words as a shell does, without any other processing by a shell."""
    return shlex.split(value) if isinstance(value, str) else value


class ScriptSection(ConfigSection):
    """The program to run. In the command, ``{parameters_file}``, ``{train}``, ``{val}`` and ``{test}`` are replaced by
    paths, and the word ``{parameters}`` by ``--name=value`` for each parameter; ``{{val}}`` is the text ``{val}``."""

    command: Annotated[list[str], BeforeValidator(_words), Field(min_length=1)]  # text is split as by a shell
    source: str | None = None  # a folder or file, relative to the config's; the command runs in a copy of it
    env: dict[str, str] = {}  # further environment variables
    code: CodeRecord | None = None  # the contents of `source` at submission; written by misubmit

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, command: list[str]) -> list[str]:
        for word in command:
            name = re.fullmatch(r"\{([a-z_]+)\}", word)
            if name and name[1] not in PLACEHOLDERS:
                known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
                text = f"or write {{{word}}} for the text {word} itself"
                raise ValueError(f"the placeholder {word} is not known; known: {known}; {text}")
        return command

    @field_validator("env")
    @classmethod
    def _free_variables(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid name of an environment variable")
            if name.startswith("MITORCH_"):
                raise ValueError(f"{name} is reserved: choose a name that does not begin with MITORCH_")
        return env


class ScriptConfig(ConfigSection):
    """A complete config with a ``script`` instead of a ``model``."""

    script: ScriptSection
    parameters: dict[str, JsonValue] = {}  # passed to the script as arguments or as a JSON file
    dataset: DatasetChoice | None = None  # for {train}, {val} and {test}
    max_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0  # only shown, in the script's progress; 0: not known
    max_retries: Annotated[int, Field(ge=0, le=100)] = 0  # after its own errors; lost attempts do not count
    # Seconds without output or call after which the script counts as hung; None: an hour, without computing either.
    max_silence: Annotated[float, Field(gt=0, le=1e9)] | None = None
    log_limit: Annotated[int, Field(ge=10_000)] = (
        20_000_000  # bytes of the log that are kept: its beginning and its end
    )
    resources: ResourcesConfig | None = None  # None: one node of any cluster

    @field_validator("resources")
    @classmethod
    def _one_node(cls, resources: ResourcesConfig | None) -> ResourcesConfig | None:
        if resources is not None and resources.nodes > 1:
            raise ValueError("a script runs on one node: remove resources.nodes")
        return resources

    @field_validator("parameters")
    @classmethod
    def _plain_names(cls, parameters: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in parameters:
            if not _PARAMETER.fullmatch(name):
                raise ValueError(f"the parameter {name!r} cannot be an argument: use letters, digits, _ . and -")
        return parameters


AnyConfig = TrainingConfig | ScriptConfig


def check_config(data: Mapping[str, JsonValue]) -> tuple[AnyConfig | None, list[Problem]]:
    """Validates the config of a training or of a script; returns it, or None with all problems."""
    if not is_script(data):
        return check(TrainingConfig, data)
    config, problems = check(ScriptConfig, data)
    return config, problems if config is None else list(_argument_problems(config.parameters))


def filled(word: str, value: Callable[[str], str]) -> str:
    """Returns a word of a command with the `value` of each placeholder in it; an escaped one becomes its text."""
    escaped = _ESCAPED.match(word)
    return escaped[1] if escaped else _IN_WORD.sub(lambda found: found[1] or value(found[2]), word)


def dataset_files(config: Mapping[str, JsonValue]) -> list[str]:
    """Returns the splits whose files the command of a valid config names."""
    script = config.get("script")
    command = _words(script.get("command")) if isinstance(script, dict) else None
    names: set[str] = set()

    def note(name: str) -> str:
        names.add(name)
        return name

    for word in command if isinstance(command, list) else ():
        filled(word, note)
    return [name for name in DATASET_FILES if name in names]


def argument_names(parameters: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Yields the name of each parameter as an argument: a member of an object is ``object.member``."""
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield from argument_names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _argument_problems(parameters: Mapping[str, object]) -> Iterator[Problem]:
    """Checks of a submission only: scripts that are queued run as ever."""
    counts = Counter(argument_names(parameters))
    for name, count in counts.items():
        if not _PARAMETER.fullmatch(name):
            message = f"the parameter {name!r} cannot be an argument: use letters, digits, _ . and -"
            yield Problem("parameters", message)
        elif count > 1:
            message = 'is the name of two parameters: write either the key "a.b" or "a": {"b": …}, not both'
            yield Problem(f"parameters.{name}", message)


def is_script(config: Mapping[str, JsonValue]) -> bool:
    """Whether a config, validated or not, is of a script."""
    return "script" in config


def code_of(config: Mapping[str, JsonValue]) -> CodeRecord | None:
    """Returns the record of the code in the config of a script or of its search; None if there is none."""
    script = config.get("script")
    code = script.get("code") if isinstance(script, dict) else None
    return check(CodeRecord, code)[0] if isinstance(code, dict) else None


def is_secret(variable: str) -> bool:
    """Whether the name of an environment variable looks like that of a credential."""
    return _SECRET.search(variable.upper()) is not None


def masked_config(config: JsonObject) -> JsonObject:
    """Returns the config with values of a script's environment masked where they look like credentials."""
    script = config.get("script")
    env = script.get("env") if isinstance(script, dict) else None
    if not isinstance(script, dict) or not isinstance(env, dict):
        return config
    masked = {name: _MASK if is_secret(name) else value for name, value in env.items()}
    return {**config, "script": {**script, "env": masked}}

"""The data set registry: a name and version, and where its files lie."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from mitorch_service.models.base import ConfigSection, Document, UtcTime

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")


class DatasetRef(Document):
    """A data set at one version. ``digits:2`` in text; without a version, the newest at submission."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> DatasetRef:
        """Reads ``NAME`` or ``NAME:VERSION``. Raises ValueError for a version that is no number."""
        name, colon, version = text.strip().rpartition(":")
        if not colon:
            return cls(name=version)
        if not version.isdecimal():
            raise ValueError(f"the version {version!r} is not a number: write NAME or NAME:NUMBER")
        return cls(name=name, version=int(version))


def _chosen(value: object) -> object:
    """Text becomes a reference; in an object only the known keys will do."""
    if isinstance(value, str):
        return DatasetRef.parse(value)
    unknown = sorted(set(value) - set(DatasetRef.model_fields)) if isinstance(value, dict) else []
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known: name, version")
    if isinstance(value, dict) and isinstance(value.get("version"), bool):
        raise ValueError("the version must be a number, not true or false")
    return value


DatasetChoice = Annotated[DatasetRef, BeforeValidator(_chosen)]


class DatasetPart(ConfigSection):
    """One split: its text file, and the files that the text file names (``zip`` archives, ``labels.txt``)."""

    path: str = Field(min_length=1)
    support_files: list[str] = []


class DatasetDefinition(ConfigSection):
    """One entry of the file given to ``midataset register``."""

    name: str
    version: Annotated[int, Field(ge=0, strict=True)]
    train: DatasetPart
    val: DatasetPart
    test: DatasetPart | None = None

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.match(name):
            raise ValueError("must start with a letter or digit and hold letters, digits, space, . _ - only")
        return name

    def parts(self) -> dict[str, DatasetPart]:
        """The splits that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}


class Dataset(Document):
    """A registered data set; ``_id`` is ``name:version``, which makes the pair unique."""

    id: str
    name: str
    version: int
    train: DatasetPart
    val: DatasetPart
    test: DatasetPart | None = None
    created_at: UtcTime

    @property
    def ref(self) -> DatasetRef:
        return DatasetRef(name=self.name, version=self.version)

    def parts(self) -> dict[str, DatasetPart]:
        """The splits that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}


def dataset_id(name: str, version: int) -> str:
    """The `_id` of a data set."""
    return f"{name}:{version}"

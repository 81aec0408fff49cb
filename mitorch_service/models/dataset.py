"""The data set registry: names, versions and the locations of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from mitorch_service.models.base import ConfigSection, Document, JsonObject, UtcTime
from mitorch_service.models.blob_storage.sas import is_url, sas_expiry, sas_of, without_sas
from mitorch_service.models.labels import MAX_NAME

MAX_COUNTED_CLASSES = 1000  # bounds the size of the document
MAX_NEAR_IMAGES = 10_000  # likewise
_SPLITS = ("train", "val", "test")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._ -]*[A-Za-z0-9._-])?")


class DatasetRef(Document):
    """A version of a data set, ``digits:2`` as text; without a version, the newest at submission."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> DatasetRef:
        """Parses ``NAME`` or ``NAME:VERSION``. Raises ValueError for an empty name, or a version that is not a
        number."""
        name, colon, version = text.strip().rpartition(":")
        if not (name if colon else version):
            raise ValueError("names no data set: write NAME or NAME:NUMBER")
        if not colon:
            return cls(name=version)
        if not re.fullmatch(r"[0-9]{1,18}", version):
            raise ValueError(f"the version {version!r} is not a number: write NAME or NAME:NUMBER")
        return cls(name=name, version=int(version))


def _chosen(value: object) -> object:
    """Converts text to a reference; rejects objects with unknown keys."""
    if isinstance(value, str):
        return DatasetRef.parse(value)
    unknown = sorted(set(value) - set(DatasetRef.model_fields)) if isinstance(value, dict) else []
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known: name, version")
    if isinstance(value, dict) and isinstance(value.get("version"), bool):
        raise ValueError("the version must be a number, not true or false")
    return value


DatasetChoice = Annotated[DatasetRef, BeforeValidator(_chosen)]


class DatasetSplit(ConfigSection):
    """One split: its text file, and the files that the text file names (``zip`` archives, ``labels.txt``)."""

    path: str = Field(min_length=1)
    support_files: list[str] = []


class DatasetDefinition(ConfigSection):
    """One entry of the file given to ``midataset register``."""

    name: Annotated[str, Field(max_length=MAX_NAME)]
    version: Annotated[int, Field(ge=0, lt=10**18, strict=True)]
    train: DatasetSplit
    val: DatasetSplit
    test: DatasetSplit | None = None

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "must begin with a letter or digit, hold letters, digits, space, . _ - only, and not end in a space"
            )
        return name

    def splits(self) -> dict[str, DatasetSplit]:
        """The splits that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}


class SasToken(Document):
    """The split of a URL after the ``?``, stored separately, so that the URL can be shown."""

    url: str
    token: str = Field(repr=False)


class ClassCount(Document):
    """A class of a split, and how many images show it (detection: how many boxes)."""

    name: str
    count: int


class SplitLeaks(Document):
    """The images of a split that a split before it has as well: at registration what is cheap to find, all after
    ``midataset check``."""

    same_file: int = 0
    same_content: int = 0
    near_duplicates: int | None = None  # None: not looked for yet
    same_recording: int | None = None  # None: names do not tell recordings
    recordings: str = ""  # how they were told apart
    seconds: float = 0.0  # that looking took
    near_images: list[int] = Field(default_factory=list, max_length=MAX_NEAR_IMAGES)  # numbers of the first ones

    def found(self) -> dict[str, int]:
        """The kinds of which there are some, with their counts."""
        kinds = {
            "the same file": self.same_file,
            "the same content": self.same_content,
            "near-duplicates": self.near_duplicates or 0,
            "of the same recording": self.same_recording or 0,
        }
        return {kind: count for kind, count in kinds.items() if count}


class SplitContents(Document):
    """The contents of a split, as they were read at registration."""

    kind: str  # multiclass, multilabel or detection
    images: int
    classes: int  # how many there are
    counts: list[ClassCount] = Field(default_factory=list, max_length=MAX_COUNTED_CLASSES)  # of the first classes
    leaks: SplitLeaks | None = None  # None: not looked for, as for train


def _is_empty(value: object) -> bool:
    return not value


class Dataset(Document):
    """A registered data set; ``_id`` is ``name:version``, so that the pair is unique.

    URLs in `path` and `support_files` have no SAS tokens. The tokens are in `sas_tokens`, for the runs; commands that
    print the document mask them (`mask_secrets`).
    """

    stored_as: ClassVar[str] = "data set"

    id: str
    name: str
    version: int
    train: DatasetSplit
    val: DatasetSplit
    test: DatasetSplit | None = None
    created_at: UtcTime
    contents: dict[str, SplitContents] = Field(default_factory=dict)  # by split; without those in blob storage
    sas_tokens: list[SasToken] = Field(default=[], repr=False)
    imported_from: JsonObject = Field(
        default_factory=dict, exclude_if=_is_empty
    )  # system, place, what and when; no secrets
    stored_id: Any = Field(None, exclude=True, repr=False)  # its `_id`, if another program inserted it under another

    @model_validator(mode="before")
    @classmethod
    def _read_inserted_by_hand(cls, fields: object) -> object:
        """Reads what people insert by hand, as MiTorch's own page says: under any `_id`, without a time, and with SAS
        tokens in the paths."""
        if not isinstance(fields, Mapping) or fields.get("id") == dataset_id(fields.get("name"), fields.get("version")):
            return fields
        return {**fields, **_as_registered(fields)}

    @property
    def key(self) -> object:
        """The `_id` under which it is stored."""
        return self.id if self.stored_id is None else self.stored_id

    @property
    def ref(self) -> DatasetRef:
        return DatasetRef(name=self.name, version=self.version)

    def splits(self) -> dict[str, DatasetSplit]:
        """The splits that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def with_sas(self, url: str) -> str:
        """Appends the SAS token to a URL of this data set; the result is a secret."""
        tokens = {token.url: token.token for token in self.sas_tokens}
        return f"{url}?{tokens[url]}" if url in tokens else url

    def expired(self, now: datetime) -> str | None:
        """Returns which of its SAS tokens has expired and since when, with the remedy; None if none has."""
        end, url = self.first_expiry() or (None, "")
        if end is None or end > now:
            return None
        remedy = "register this version again with a new one (midataset register)"
        return f"the SAS token of {url} expired on {end:%Y-%m-%d %H:%M} UTC; {remedy}"

    def first_expiry(self) -> tuple[datetime, str] | None:
        """Returns the earliest expiry of its SAS tokens, and the URL of that token; None if no token has an expiry."""
        ends = ((sas_expiry(token.token), token.url) for token in self.sas_tokens)
        return min(((end, url) for end, url in ends if end is not None), default=None)


def detach_sas_tokens(split: DatasetSplit) -> tuple[DatasetSplit, list[SasToken]]:
    """Separates the SAS tokens from the URLs of a split."""
    urls = [path for path in (split.path, *split.support_files) if is_url(path) and sas_of(path)]
    plain = DatasetSplit(path=_shown(split.path), support_files=[_shown(path) for path in split.support_files])
    return plain, [SasToken(url=without_sas(url), token=sas_of(url)) for url in urls]


def _shown(path: str) -> str:
    return without_sas(path) if is_url(path) else path


def dataset_id(name: object, version: object) -> str:
    """The `_id` of a data set; a shell stores the version 1 as 1.0."""
    return f"{name}:{int(version) if isinstance(version, float) and version.is_integer() else version}"


def _as_registered(fields: Mapping[Any, Any]) -> dict[str, object]:
    """The fields of a document that another program inserted which registration would have written otherwise."""
    key = fields.get("id")
    created = fields.get("created_at") or getattr(key, "generation_time", None) or datetime.fromtimestamp(0, UTC)
    if isinstance(created, str) and (time := _time(created)) is not None:
        created = time
    if isinstance(created, datetime) and created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    read: dict[str, object] = {"id": dataset_id(fields.get("name"), fields.get("version")), "stored_id": key}
    tokens: list[object] = []
    for name in _SPLITS:
        if isinstance(fields.get(name), Mapping):
            with suppress(ValidationError):  # the split's own field reports it
                read[name], found = detach_sas_tokens(DatasetSplit.model_validate(fields[name]))
                tokens += found
    return {**read, "created_at": created, "sas_tokens": [*tokens, *(fields.get("sas_tokens") or [])]}


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

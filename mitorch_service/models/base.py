"""The base classes of stored documents and of sections of a user's config."""

from __future__ import annotations

import typing
import uuid
from datetime import UTC, datetime
from types import NoneType
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from mitorch_service.errors import BrokenDocument, NewerDocument
from mitorch_service.models.schema_versions import COLLECTION_OF, SCHEMA, VERSIONS, is_known, upgraded
from mitorch_service.wording.input_problem import input_problem


def to_utc_milliseconds(value: datetime) -> datetime:
    """Converts an aware time to UTC, truncated to milliseconds, the resolution of BSON's dates.

    Raises ValueError for a time without a time zone.
    """
    if value.tzinfo is None:
        raise ValueError("a time needs a time zone")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    whole = value.microsecond // 1000 * 1000
    return value if value.microsecond == whole else value.replace(microsecond=whole)


# A JSON object in a stored document. Any, because it was validated before it was stored: JsonValue would cost 2 µs per
# document read, and its users a cast at each level.
JsonObject = dict[str, Any]

# A field of a stored document of which only a part could be read: the reason, and its text as it was found.
DAMAGED = "damaged"

_LONGEST_ID = 200

UtcTime = Annotated[datetime, AfterValidator(to_utc_milliseconds)]


def _checked_id(value: str) -> str:
    if not value.strip(".") or len(value) > _LONGEST_ID or any(one in value for one in "/\\\0"):
        raise ValueError(f"must be an id that files can be named by: 1 to {_LONGEST_ID} characters, none of / and \\")
    return value


# Of a training or a job: runs, artifacts and undelivered work are in folders of this name.
Id = Annotated[str, AfterValidator(_checked_id)]


def new_id() -> str:
    """Returns a random GUID as text."""
    return str(uuid.uuid4())


class Document(BaseModel):
    """A stored document, or a part of one. Ignores unknown fields, which a newer version may have written."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    stored_as: ClassVar[str] = "document"  # what people call it

    def to_document(self) -> dict[str, Any]:
        """Returns plain values for a store: strings, numbers, datetimes, lists and dicts; ``id`` becomes ``_id``."""
        plain = self.model_dump(mode="python")
        if "id" in plain:
            plain = {"_id": plain.pop("id"), **plain}
        collection = COLLECTION_OF.get(self.stored_as)
        return plain if collection is None else {**plain, SCHEMA: VERSIONS[collection]}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Parses a stored document, of this version or an earlier one. Raises BrokenDocument, naming the field, if its
        values are not valid; NewerDocument if its form is not known here."""
        key, collection = document.get("_id", "?"), COLLECTION_OF.get(cls.stored_as)
        if collection is not None and not is_known(collection, document):
            raise NewerDocument(cls.stored_as, key, document[SCHEMA], VERSIONS[collection])
        fields = dict(document) if collection is None else upgraded(collection, document)
        if DAMAGED in fields:
            damage = fields[DAMAGED]
            raise BrokenDocument(cls.stored_as, key, str(damage["reason"] if isinstance(damage, dict) else damage))
        if "_id" in fields:
            fields["id"] = fields.pop("_id")
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BrokenDocument(cls.stored_as, key, f"{where}: {input_problem(first)}") from error


class ConfigSection(BaseModel):
    """A part of a user's config file. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_booleans(cls, value: object, info: ValidationInfo) -> object:
        """Rejects ``"batch_size": true``, which pydantic would convert to 1, and ``"pretrained": "yes"`` or 1, which it
        would convert to true."""
        field = cls.model_fields[info.field_name or ""]
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, bool) for one in values):
            kinds = _kinds(field.annotation)
            if kinds & {int, float} and not kinds & {bool, Any}:
                raise ValueError("must be a number, not true or false")
        elif isinstance(value, str | int | float) and _is_switch(field):
            raise ValueError("must be true or false" + ", without quotes" * isinstance(value, str))
        return value


def _is_switch(field: FieldInfo) -> bool:
    """Whether only true and false are meant; what a field's own validator reads is its business."""
    own = any(isinstance(one, BeforeValidator) for one in field.metadata)
    return not own and _kinds(field.annotation) <= {bool, NoneType}


def _kinds(annotation: object) -> set[object]:
    """Returns the plain types in ``X | None``, ``tuple[X, Y]`` or ``Annotated[X, …]``."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        return _kinds(arguments[0])
    if not arguments or typing.get_origin(annotation) is typing.Literal:
        return {annotation}
    return set().union(*map(_kinds, arguments))

"""Values that documents for programs have in common: the API's answers and the results of the Python client."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

from mitorch_service.models.secrets import mask_secrets

# JSON has no numbers that are not finite: they are written as text.
Number = Annotated[
    float, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["nan", "inf", "-inf"]}]})
]
Time = Annotated[datetime, AfterValidator(lambda time: time.astimezone(UTC))]


class Detail(BaseModel):
    """The base of these documents. Unknown fields, which a newer server sends, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def masked(value: Any) -> Any:
    """The value with credentials in its texts masked."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {mask_secrets(str(name)): masked(item) for name, item in value.items()}
    return value


def plain(value: Any) -> Any:
    """Values that JSON has: texts masked, ``nan`` and ``inf`` as text, times in ISO 8601."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, dict):
        return {mask_secrets(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value if value is None or isinstance(value, int | float) else mask_secrets(str(value))

"""Parameters that routes of the API have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from mitorch_service.errors import NotFound
from mitorch_service.operations.selection import EVERYTHING as ANY_STATUS
from mitorch_service.operations.selection import Chosen, Selection, select
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind


def _storable(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text) or "\0" in text:
        raise ValueError("contains NUL or half of a surrogate pair, which is no character; remove it")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[str, Path(max_length=200, description="The id, or an unambiguous beginning of it.")]


def resolve(store: Store, kind: Kind, id: str) -> Chosen:
    """The one of that kind whose id is this or begins so, readable or not. Raises NotFound, AmbiguousId."""
    (found,) = select(store, Selection((_storable_id(id, kind),)), ANY_STATUS).items
    if found.kind != kind:
        raise NotFound(kind, id, f"It is a {found.kind}.")
    return found


def _storable_id(id: str, kind: Kind) -> str:
    try:
        return _storable(id)
    except ValueError:
        raise NotFound(kind, id) from None

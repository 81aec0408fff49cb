"""The parts of a filter that a person writes: terms, of which a training must fulfil each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

Operator = Literal["=", ">", ">=", "<", "<="]


@dataclass(frozen=True)
class Place:
    """The word of a term as it was written, for messages."""

    word: str = ""
    position: int = 0  # of its first character, counted from 0


@dataclass(frozen=True)
class Value:
    """A value to compare with: literal texts, between which the wildcard ``*`` stands for any text."""

    parts: tuple[str, ...]
    operator: Operator = "="

    @property
    def is_exact(self) -> bool:
        """Whether it is equality with one text."""
        return self.operator == "=" and len(self.parts) == 1

    @property
    def text(self) -> str:
        """The value without regard to wildcards."""
        return "*".join(self.parts)


@dataclass(frozen=True)
class Term:
    """``field:a,b`` or a bare word (`field` None), perhaps negated. One of the values must fit."""

    field: str | None
    values: tuple[Value, ...]
    negated: bool = False
    place: Place = dataclasses.field(default=Place(), compare=False)


@dataclass(frozen=True)
class PatternTerm:
    """``/regex/``, searched for in the name without regard to case."""

    pattern: str
    negated: bool = False
    place: Place = dataclasses.field(default=Place(), compare=False)


@dataclass(frozen=True)
class Where:
    """A filter: a training passes that fulfils all terms. Without terms all pass."""

    terms: tuple[Term | PatternTerm, ...] = ()

    def and_(self, *terms: Term | PatternTerm) -> Where:
        """Returns the filter with further terms."""
        return Where((*self.terms, *terms))


def equals(field: str, *texts: str) -> Term:
    """The term that a field is one of these texts."""
    return Term(field, tuple(Value((text,)) for text in texts), place=Place(f"{field}:{','.join(texts)}"))

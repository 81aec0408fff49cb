"""The grammar of filters, of `miquery --where`, the page's search box and the API: text to terms and back.

filter  = term {blank term}          each must hold
term    = ["-"] (word | "/" regex "/" | field ":" value {"," value})
value   = [">" | ">=" | "<" | "<="] word
word    = text without blanks; "two words" in quotes; \\x for any character x; * unquoted is any text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mitorch_service.errors import InvalidFilter
from mitorch_service.insights.where.terms import Operator, PatternTerm, Place, Term, Value, Where

MAX_LENGTH = 4000  # characters of a filter
_MAX_TERMS = 50
_MAX_VALUES = 100
_OPERATORS: tuple[Operator, ...] = (">=", "<=", ">", "<")
_QUOTED = frozenset('"\\,*:<>=')  # texts with one of these are written in quotes
_QUOTED_FIRST = ("-", "/")


@dataclass(frozen=True)
class _Word:
    """A word as it was written, and its characters, of which those in quotes or behind a backslash mean themselves."""

    place: Place
    characters: list[tuple[str, bool]] = field(default_factory=list)  # (character, whether it means itself)
    negated: bool = False
    pattern: str | None = None


def parse_where(text: str) -> Where:
    """Parses a filter. Raises InvalidFilter, which names the word and its position."""
    if len(text) > MAX_LENGTH:
        raise InvalidFilter(text[:20] + "…", 0, f"is of {len(text):,} characters: write {MAX_LENGTH:,} at most")
    terms = tuple(_term(word) for word in _words(text))
    if len(terms) > _MAX_TERMS:
        place = terms[_MAX_TERMS].place
        raise InvalidFilter(place.word, place.position, f"is one term too many: write {_MAX_TERMS} at most")
    return Where(terms)


def format_where(where: Where) -> str:
    """Writes a filter so that `parse_where` gives an equal one."""
    return " ".join(_written(term) for term in where.terms)


def format_value(text: str) -> str:
    """Writes a text so that it means itself wherever a value stands."""
    plain = text and text[0] not in _QUOTED_FIRST and not any(c in _QUOTED or c.isspace() for c in text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written(term: Term | PatternTerm) -> str:
    sign = "-" if term.negated else ""
    if isinstance(term, PatternTerm):
        return f"{sign}/{_escaped_slashes(term.pattern)}/"
    values = ",".join(_written_value(value) for value in term.values)
    return sign + values if term.field is None else f"{sign}{format_value(term.field)}:{values}"


def _written_value(value: Value) -> str:
    operator = "" if value.operator == "=" else value.operator
    if len(value.parts) == 1:
        return operator + format_value(value.parts[0])
    return operator + "*".join(format_value(part) if part else "" for part in value.parts)


def _escaped_slashes(pattern: str) -> str:
    written, escaped = [], False
    for character in pattern:
        written.append("\\/" if character == "/" and not escaped else character)
        escaped = character == "\\" and not escaped
    return "".join(written)


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word, at = _read_word(text, at)
        words.append(word)
    return words


def _read_word(text: str, start: int) -> tuple[_Word, int]:
    """Returns the word that begins at `start`, and where it ends."""
    negated = text[start] == "-"
    at = start + negated
    if text[at : at + 1] == "/":
        return _read_pattern(text, start, at, negated)
    characters, end = _read_characters(text, start, at)
    return _Word(Place(text[start:end], start), characters, negated), end


def _read_pattern(text: str, start: int, slash: int, negated: bool) -> tuple[_Word, int]:
    pattern, at = [], slash + 1
    while at < len(text) and text[at] != "/":
        step = 2 if text[at] == "\\" else 1
        pattern.append("/" if text[at : at + 2] == "\\/" else text[at : at + step])
        at += step
    end = at + 1
    if at >= len(text) or (end < len(text) and not text[end].isspace()):
        word = text[start:].split(maxsplit=1)[0]
        problem = "begins a regular expression, which ends with / before a blank"
        raise InvalidFilter(word, start, f'{problem}; write "{word}" in quotes if it is a name')
    if not pattern:
        raise InvalidFilter(text[start:end], start, "is an empty regular expression: write one between the slashes")
    return _Word(Place(text[start:end], start), negated=negated, pattern="".join(pattern)), end


def _read_characters(text: str, start: int, at: int) -> tuple[list[tuple[str, bool]], int]:
    characters: list[tuple[str, bool]] = []
    quoted = False
    while at < len(text) and (quoted or not text[at].isspace()):
        character = text[at]
        if character == "\\":
            if at + 1 == len(text):
                raise InvalidFilter(text[start:], start, "ends with a backslash: write \\\\ for one")
            characters.append((text[at + 1], True))
            at += 1
        elif character == '"':
            quoted = not quoted
            characters.append(("", True))  # so that "" is a text, too
        else:
            characters.append((character, quoted))
        at += 1
    if quoted:
        raise InvalidFilter(text[start:], start, 'has an opening quote without a closing one: add " or write \\"')
    return characters, at


def _term(word: _Word) -> Term | PatternTerm:
    if word.pattern is not None:
        return PatternTerm(word.pattern, word.negated, word.place)
    colon = next((index for index, found in enumerate(word.characters) if found == (":", False)), None)
    name = None if colon is None else _literal(word.characters[:colon])
    rest = word.characters if colon is None else word.characters[colon + 1 :]
    if name == "":
        raise InvalidFilter(*_where(word), 'has no field before the colon: write FIELD:VALUE, or the word in "quotes"')
    values = tuple(_value(word, characters) for characters in _split(rest, ","))
    if len(values) > _MAX_VALUES:
        raise InvalidFilter(*_where(word), f"has {len(values)} values: write {_MAX_VALUES} at most")
    if name is None and any(value.operator != "=" for value in values):
        raise InvalidFilter(*_where(word), "compares without a field: write FIELD:>VALUE, such as epoch:>10")
    return Term(name, values, word.negated, word.place)


def _value(word: _Word, characters: Sequence[tuple[str, bool]]) -> Value:
    operator: Operator = "="
    begin = "".join(character if not literal else "\0" for character, literal in characters[:2])
    for one in _OPERATORS:
        if begin.startswith(one):
            operator, characters = one, characters[len(one) :]
            break
    if not characters:
        raise InvalidFilter(*_where(word), 'has an empty value: write one, or "" for the empty text')
    parts = tuple(_literal(part) for part in _split(characters, "*"))
    if operator != "=" and len(parts) > 1:
        raise InvalidFilter(*_where(word), f"compares by {operator} with a wildcard: write a number, a time or a text")
    return Value(parts, operator)


def _where(word: _Word) -> tuple[str, int]:
    return word.place.word, word.place.position


def _split(characters: Sequence[tuple[str, bool]], at: str) -> list[list[tuple[str, bool]]]:
    pieces: list[list[tuple[str, bool]]] = [[]]
    for found in characters:
        if found == (at, False):
            pieces.append([])
        else:
            pieces[-1].append(found)
    return pieces


def _literal(characters: Sequence[tuple[str, bool]]) -> str:
    return "".join(character for character, _ in characters)

"""The comments beside the fields of a config's sections, which the schema and the reference show."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from functools import cache

from pydantic import BaseModel


@cache
def field_notes(section: type[BaseModel]) -> dict[str, str]:
    """Returns the comment of each field that has one: behind it, continued on the next line in lower case, or on the
    lines before it. Reads the source of the class."""
    source = textwrap.dedent(inspect.getsource(section))
    comments = _comments(source)
    (class_,) = ast.parse(source).body
    notes: dict[str, list[str]] = {}
    assert isinstance(class_, ast.ClassDef)
    for node in class_.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        before: list[str] = []
        line = node.lineno - 1
        while line in comments and comments[line][1]:
            before.insert(0, comments.pop(line)[0])
            line -= 1
        behind = [comments.pop(line)[0] for line in range(node.lineno, (node.end_lineno or 0) + 1) if line in comments]
        line = (node.end_lineno or 0) + 1
        while behind and line in comments and comments[line][1] and comments[line][0][:1].islower():
            behind.append(comments.pop(line)[0])
            line += 1
        notes[node.target.id] = before + behind
    return {name: " ".join(lines) for name, lines in notes.items() if lines}


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """The comments by line, and whether each stands alone."""
    found: dict[int, tuple[str, bool]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            found[token.start[0]] = (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
    return found

"""Writes the reference of every key into docs/config.md, from the models.

python -m scripts.config_reference
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mitorch_service.models.config.config_schema import config_schema, sections_of
from mitorch_service.models.config.script import ScriptConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.search.job import JobConfig

TARGET = Path(__file__).parents[1] / "docs" / "config.md"
START = "<!-- The rest is written by scripts/config_reference.py. -->"
_WRITTEN_BY_US = {"CodeRecord", "GitRecord"}
_ROOTS = {"TrainingConfig": "A training", "ScriptConfig": "A script", "JobConfig": "A job"}


def reference() -> str:
    """Returns the reference as Markdown: a table for each section, the root sections first."""
    definitions = config_schema()["$defs"]
    lines: list[str] = []
    seen: set[str] = set(_WRITTEN_BY_US)
    for root in (TrainingConfig, ScriptConfig, JobConfig):
        for section in sections_of(root):
            if section.__name__ not in seen:
                seen.add(section.__name__)
                lines += _section(section.__name__, definitions[section.__name__], definitions)
    return "\n".join(lines)


def _section(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    level = "##" if name in _ROOTS else "###"
    yield f"\n{level} {_ROOTS.get(name, _title(name, definitions))}\n"
    yield from (schema.get("description", "").replace("\n", " "), "")
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    required = set(schema.get("required", ()))
    for key, field in schema["properties"].items():
        if _is_nothing_of_users(key, name) or not (kind := _kind(field, definitions)):
            continue
        default = "required" if key in required else _default(field)
        meaning = field.get("description") or _first_sentence(_target(field, definitions))
        yield f"| `{key}` | {kind} | {default} | {_escaped(meaning)} |"


def _target(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The section that a field holds, or may hold."""
    found = re.search(r'"#/\$defs/(\w+)"', json.dumps(field))
    return definitions[found[1]] if found and found[1] != "JsonValue" else {}


def _first_sentence(schema: dict[str, Any]) -> str:
    description: str = schema.get("description", "")
    return description.partition(". ")[0].rstrip(".").replace("\n", " ")


def _is_nothing_of_users(key: str, section: str) -> bool:
    return (section, key) == ("ScriptSection", "code")


def _title(name: str, definitions: dict[str, Any]) -> str:
    """The keys under which a section stands."""
    found = [
        key
        for definition in definitions.values()
        for key, field in definition.get("properties", {}).items()
        if f'"#/$defs/{name}"' in json.dumps(field)
    ]
    keys = ", ".join(f"`{key}`" for key in dict.fromkeys(found))
    return f"A step of {keys}" if name == "AugmentationStep" else keys


def _kind(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        target = field["$ref"].rpartition("/")[2]
        return "any value" if target == "JsonValue" else "section" if target != "DatasetRef" else ""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(filter(None, (_kind(one, definitions) for one in field["anyOf"]))))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    kind = field.get("type")
    if kind == "array":
        return "list" if "prefixItems" not in field else f"list of {len(field['prefixItems'])}"
    if kind in ("integer", "number"):
        return ("whole number" if kind == "integer" else "number") + _limits(field)
    return {"string": "text", "boolean": "`true` or `false`", "object": "object", "null": ""}.get(
        str(kind), "any value"
    )


def _limits(field: dict[str, Any]) -> str:
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    said = [f"{word} {field[bound]:g}" for bound, word in bounds if bound in field and abs(field[bound]) < 1e9]
    return f" {', '.join(said)}" if said else ""


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if not value and not isinstance(value, bool | int | float):
        return ""
    return "" if isinstance(value, dict | list) and len(json.dumps(value)) > 40 else f"`{json.dumps(value)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def page() -> str:
    """Returns the whole page, with the reference as it should be."""
    written, _, _ = TARGET.read_text("utf-8").partition(START)
    return f"{written}{START}\n{reference()}\n"


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")

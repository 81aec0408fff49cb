"""Formats the config of a script: its command, parameters and code."""

from __future__ import annotations

import json
import shlex

from pydantic import JsonValue

from mitorch_service.models.config.script import CodeRecord, ScriptConfig, is_script, masked_config
from mitorch_service.models.config.validation import check
from mitorch_service.wording.counted import counted


def script_fields(config: dict[str, JsonValue]) -> list[tuple[str, object]]:
    """Names and values; empty for a config without a script, or one whose command is searched."""
    whole = check(ScriptConfig, masked_config(config))[0] if is_script(config) else None
    if whole is None:
        return []
    fields: list[tuple[str, object]] = [
        ("script", shlex.join(whole.script.command)),
        ("script env", whole.script.env),
        ("script parameters", {name: _parameter(value) for name, value in whole.parameters.items()}),
        ("source", whole.script.source),
    ]
    return fields + (_code_fields(whole.script.code) if whole.script.code is not None else [])


def without_record(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A script's config without the record of its code, credentials masked; any other unchanged."""
    if not is_script(config):
        return config
    masked = masked_config(config)
    return {**masked, "script": {name: value for name, value in masked["script"].items() if name != "code"}}


def _code_fields(code: CodeRecord) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [
        ("code", f"{code.archive}, {counted(code.files, 'file')}, {_size_text(code.size)}"),
        ("submitted with", f"Python {code.python}, {len(code.packages)} packages (--json lists them)"),
    ]
    if code.left_out:
        fields.append(("left out", ", ".join(code.left_out)))
    if code.git is not None:
        changed = (
            f", {counted(len(code.git.diff.splitlines()), 'line')} of changes (--json)"
            if code.git.diff
            else ", unchanged"
        )
        where = " ".join(filter(None, [code.git.branch, code.git.remote]))
        fields.append(("commit", f"{code.git.commit}{changed}" + (f" ({where})" if where else "")))
    return fields


def _parameter(value: JsonValue) -> JsonValue:
    """A value as it is; a list, sub-config or search-space expression as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _size_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB"

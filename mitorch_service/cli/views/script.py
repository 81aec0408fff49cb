"""How a script's config is shown: what runs, of which code."""

from __future__ import annotations

import shlex
from typing import Any

from mitorch_service.models.script import CodeRecord, ScriptConfig, is_script, masked_config
from mitorch_service.models.validation import check


def script_fields(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and values of a stored config; none of one that is no script's, or in which the command is searched."""
    whole = check(ScriptConfig, masked_config(config))[0] if is_script(config) else None
    if whole is None:
        return []
    fields: list[tuple[str, Any]] = [
        ("script", shlex.join(whole.script.command)),
        ("script env", whole.script.env),
        ("script parameters", whole.parameters),
        ("source", whole.script.source),
    ]
    return fields + (_code_fields(whole.script.code) if whole.script.code is not None else [])


def without_record(config: dict[str, Any]) -> dict[str, Any]:
    """A script's config as a person wrote it, credentials masked; any other as it is."""
    if not is_script(config):
        return config
    masked = masked_config(config)
    return {**masked, "script": {name: value for name, value in masked["script"].items() if name != "code"}}


def _code_fields(code: CodeRecord) -> list[tuple[str, Any]]:
    fields: list[tuple[str, Any]] = [
        ("code", f"{code.archive}, {code.files} file{'s' * (code.files != 1)}, {code.size / 1e6:.2f} MB"),
        ("submitted with", f"Python {code.python}, {len(code.packages)} packages (--json lists them)"),
    ]
    if code.git is not None:
        changed = f", {len(code.git.diff.splitlines())} lines of changes (--json)" if code.git.diff else ", unchanged"
        where = " ".join(filter(None, [code.git.branch, code.git.remote]))
        fields.append(("commit", f"{code.git.commit}{changed}" + (f" ({where})" if where else "")))
    return fields

"""The file that ENV_CONFIG_FILE names: which workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.validation import MAX_CONFIG_BYTES, parse_object

_FOLDER = "configuration"  # of the original's repository, where its files are
_LEVELS = 4  # folders above the file, whose `configuration` is looked into
_KEY = "ENV_CONFIG_FILE"
_FIELDS = {
    "AML_SUBSCRIPTION_ID": "subscription_id",
    "AML_RESOURCE_GROUP": "resource_group",
    "AML_WORKSPACE_NAME": "workspace",
}
_TENANT = "AML_TENANT_ID"


@dataclass(frozen=True)
class WorkspaceFile:
    """A workspace of Azure ML."""

    subscription_id: str
    resource_group: str
    workspace: str
    tenant_id: str | None = None


def read_workspace(name: str, folder: Path) -> tuple[WorkspaceFile | None, list[Problem]]:
    """Reads the file, which is beside exp_config.json (in `folder`), or in a folder ``configuration`` beside it or
    beside one of the folders above; returns None with all problems."""
    places = [folder, *(parent / _FOLDER for parent in [folder, *folder.absolute().parents][: _LEVELS + 1])]
    file = next((place / name for place in places if (place / name).is_file()), None)
    if file is None:
        return None, [Problem(_KEY, f"there is no file {name!r} beside it, nor in {_FOLDER}/ beside it or above")]
    try:
        with file.open("rb") as opened:
            data = parse_object(str(file), opened.read(MAX_CONFIG_BYTES + 1))
    except OSError as error:
        return None, [Problem(_KEY, f"{file} cannot be read: {error.strerror}")]
    except InvalidInput as error:
        return None, [Problem(_KEY, f"{file}: {'; '.join(map(str, error.problems))}")]
    missing = [key for key in _FIELDS if not isinstance(data.get(key), str) or not data[key]]
    if missing:
        return None, [Problem(_KEY, f"{file} needs {', '.join(missing)}, each a text")]
    tenant = data.get(_TENANT)
    values = {field: str(data[key]) for key, field in _FIELDS.items()}
    return WorkspaceFile(**values, tenant_id=tenant if isinstance(tenant, str) and tenant else None), []

"""The names, in a cloud's key vault, of the secrets that a run needs. Secrets reach a node only through the vault.

Several installations may share a vault: the names contain a hash of the addresses of database and storage, without
credentials, so that installations do not overwrite each other's secrets, and a new password or SAS token replaces the
old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mitorch_service.models.secrets import mask_secrets

PREFIX_VARIABLE = "MITORCH_SECRETS"  # in the run's environment: the prefix of the names
GPUS_VARIABLE = "MITORCH_GPUS"  # the GPUs of a node that the run is to have
LIFETIME_VARIABLE = "MITORCH_MAX_SECONDS"  # after which the run ends by itself, before Azure ends it
VAULT_VARIABLE = "MITORCH_VAULT"  # the address of the key vault, where the node reads it itself
SECRET_VARIABLES = ("MITORCH_DB_URI", "MITORCH_STORAGE_URL")


def secret_names(prefix: str) -> dict[str, str]:
    """Returns the name in the vault of each secret variable: letters, digits and dashes."""
    return {variable: f"{prefix}-{variable[8:].lower().replace('_', '-')}" for variable in SECRET_VARIABLES}


def secret_prefix(environment: Mapping[str, str]) -> str:
    """Returns the prefix for an installation, given the settings that its runs need, by variable."""
    where = "\n".join(
        _without_credentials(environment.get(name, "")) for name in (*SECRET_VARIABLES, "MITORCH_DB_NAME")
    )
    return f"mitorch-{hashlib.sha256(where.encode()).hexdigest()[:10]}"


def secrets_in(reply: Mapping[str, Any]) -> dict[str, str]:
    """Returns the secrets in a reply of the service before the vault, by name; one without a text counts as missing.
    Raises KeyError or TypeError for a reply of another form."""
    found = {secret["name"]: secret["value"] for secret in reply["secrets"]}
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, str)}


def _without_credentials(text: str) -> str:
    if "://" not in text:
        return ";".join(
            part for part in text.split(";") if not part.lower().startswith(("accountkey=", "sharedaccess"))
        )
    try:
        split = urlsplit(text)
        return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
    except ValueError:  # a password with brackets
        return mask_secrets(text)

"""Reads MITORCH_CLUSTERS, or the variables of one Azure ML cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from mitorch_service.cluster_settings.cluster_errors import LOCAL_REMEDY, REMEDIES, cluster_problem
from mitorch_service.cluster_settings.cluster_kinds import KINDS, ClusterConfig
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.errors import SettingsError
from mitorch_service.known_secrets import know, secrets_of_credential
from mitorch_service.setting_text import absolute_path, check_text, read_setting_file

# One Azure ML cluster without MITORCH_CLUSTERS: variable -> field; the first three belong together.
_AZUREML_VARIABLES = {
    "MITORCH_AZURE_SUBSCRIPTION_ID": "subscription_id",
    "MITORCH_AML_WORKSPACE": "workspace",
    "MITORCH_AML_COMPUTE": "name",
    "MITORCH_AML_RESOURCE_GROUP": "resource_group",
    "MITORCH_AML_TENANT_ID": "tenant_id",
    "MITORCH_AML_AUTH": "auth",
}
REQUIRED_VARIABLES = tuple(_AZUREML_VARIABLES)[:3]


def read_clusters(environ: Mapping[str, str]) -> tuple[ClusterConfig, ...]:
    """Returns the clusters, this machine if none are configured. Raises SettingsError."""
    text, variable = environ.get("MITORCH_CLUSTERS"), "MITORCH_CLUSTERS"
    if not text:
        return (_azureml_from_variables(environ) or LocalCluster(name="local"),)
    data = _cluster_list(text)
    clusters = tuple(_cluster(variable, f"[{number}].", entry, environ) for number, entry in enumerate(data))
    names = [cluster.name for cluster in clusters]
    if not clusters or len(set(names)) != len(names):
        raise SettingsError(variable, "needs one cluster or more, each with its own name", LOCAL_REMEDY)
    return clusters


def auth_variables(environ: Mapping[str, str]) -> list[str]:
    """The variables that hold passwords of clusters."""
    text = environ.get("MITORCH_CLUSTERS")
    auths = [entry.get("auth") for entry in _cluster_list(text) if isinstance(entry, dict)] if text else []
    return [str(auth["env"]) for auth in auths if isinstance(auth, dict)]


def _cluster_list(text: str) -> list[object]:
    """Returns the entries in the setting itself, or in the file that it names.

    Messages do not repeat text that may contain a password.
    """
    variable = "MITORCH_CLUSTERS"
    try:
        inline = text.lstrip().startswith(("[", "{"))
        data = json.loads(text if inline else read_setting_file(absolute_path(variable, text)))
    except OSError as error:
        path = text if set(text).isdisjoint('{}[]"') else "it as the path of a file"
        raise SettingsError(variable, f"cannot read {path}: {error.strerror}", LOCAL_REMEDY) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(variable, f"is not JSON ({error})", LOCAL_REMEDY) from None
    if not isinstance(data, list):
        raise SettingsError(variable, "must be a list", LOCAL_REMEDY)
    return data


def _cluster(variable: str, where: str, entry: object, environ: Mapping[str, str]) -> ClusterConfig:
    """Parses an entry. `where`: the prefix of field names in errors."""
    if not isinstance(entry, dict):
        raise SettingsError(variable, f"{where[:-1]}: must be an object {{…}}", LOCAL_REMEDY)
    kind = entry.get("kind", "local")
    remedy = REMEDIES.get(kind, LOCAL_REMEDY) if isinstance(kind, str) else LOCAL_REMEDY
    if not isinstance(kind, str) or kind not in KINDS:
        raise SettingsError(variable, f"{where}kind: {kind!r} is not known; known: {', '.join(KINDS)}", remedy)
    if isinstance(entry.get("auth"), dict):
        entry = {**entry, "auth": _auth_of(variable, where, entry["auth"], environ)}
    know(secrets_of_credential(str(entry.get("auth", ""))))
    try:
        return KINDS[kind].model_validate(entry)
    except ValidationError as error:
        problem = cluster_problem(where, kind, error.errors(include_url=False)[0])
        raise SettingsError(variable, problem, remedy) from None


def _auth_of(variable: str, where: str, auth: Mapping[str, object], environ: Mapping[str, str]) -> str:
    name = auth.get("env")
    if set(auth) != {"env"} or not isinstance(name, str):
        remedy = 'Write "auth": {"env": "NAME OF A VARIABLE"}.'
        raise SettingsError(variable, f"{where}auth: must name one variable", remedy)
    if not environ.get(name):
        remedy = f"Set {name}, or leave auth out for the ambient identity."
        raise SettingsError(variable, f"{where}auth: the variable {name} is not set", remedy)
    check_text(name, environ[name])
    return environ[name]


def _azureml_from_variables(environ: Mapping[str, str]) -> ClusterConfig | None:
    given = {field: environ[name] for name, field in _AZUREML_VARIABLES.items() if environ.get(name)}
    missing = [name for name in REQUIRED_VARIABLES if not environ.get(name)]
    if not given:
        return None
    if missing:
        present = ", ".join(name for name in _AZUREML_VARIABLES if environ.get(name))
        remedy = "Set all of them for one Azure ML cluster, or none; for several clusters use MITORCH_CLUSTERS."
        raise SettingsError(", ".join(missing), f"not set, while {present} is", remedy)
    return _cluster("MITORCH_AML_*", "", {"kind": "azureml", **given}, environ)

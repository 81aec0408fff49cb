"""Words what is wrong with an entry of MITORCH_CLUSTERS. No message repeats a text that may contain a password."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from mitorch_service.cluster_settings.azureml_cluster import CreateProfile
from mitorch_service.cluster_settings.cluster_kinds import KINDS
from mitorch_service.wording.input_problem import input_problem

LOCAL_REMEDY = 'Write a JSON list such as [{"name": "local", "kind": "local", "slots": 2}], or a path to one.'
AZUREML_REMEDY = (
    'Write a JSON list such as [{"name": "gpu", "kind": "azureml", "subscription_id": "…", "resource_group": "…", '
    '"workspace": "…", "auth": {"env": "MY_AUTH"}, "price": 0.9, "gpus": 1}], or a path to one.'
)
_SLURM_REMEDY = (
    'Write a JSON list such as [{"name": "lab", "kind": "slurm", "partition": "gpu", "gpus": 1, "time": "1-00:00:00", '
    '"max_jobs": 8}], or a path to one.'
)
REMEDIES = {"local": LOCAL_REMEDY, "azureml": AZUREML_REMEDY, "slurm": _SLURM_REMEDY}  # by kind


def cluster_problem(where: str, kind: str, detail: ErrorDetails) -> str:
    """Returns the field, its problem, and its value unless that may be a secret."""
    path = [str(step) for step in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        model = CreateProfile if path[0] == "create" else KINDS[kind]
        return f"{where}{'.'.join(path)}: unknown key; known: {', '.join(sorted(model.model_fields))}"
    secret = detail["type"] == "missing" or path[:1] == ["auth"] or not path
    value = "" if secret or isinstance(detail["input"], dict | list) else f" (it is {detail['input']!r})"
    return f"{where}{'.'.join(path)}: {input_problem(detail)}{value}"

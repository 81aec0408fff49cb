"""The only module that imports azure-ai-ml; silences its warnings and disables its calls to git.

All code that uses the SDK imports its names from here. The import takes one to two seconds.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from mitorch_service.backends.azureml.retry_waits import bound_retry_after

# Its warnings about experimental classes and retries do not concern users; errors reach us as exceptions.
for _name in ("azure", "msrest", "msal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the SDK
    from azure.ai.ml import MLClient, PyTorchDistribution, command
    from azure.ai.ml.entities import AmlCompute, Environment
    from azure.ai.ml.exceptions import MlException
    from azure.ai.ml.operations import _job_operations
    from azure.core import PipelineClient
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
    from azure.core.pipeline import policies
    from azure.core.rest import HttpRequest

__all__ = [
    "LIMITS",
    "AmlCompute",
    "AzureError",
    "ClientAuthenticationError",
    "Environment",
    "HttpRequest",
    "HttpResponseError",
    "MLClient",
    "MlException",
    "PipelineClient",
    "PyTorchDistribution",
    "command",
    "policies",
]

# For every request. By default the SDK repeats a failing call for minutes, or for as long as the service asks; the next
# pass repeats it anyway.
LIMITS: dict[str, Any] = {
    "connection_timeout": 10.0,
    "read_timeout": 60.0,
    "retry_total": 1,
    "retry_status": 0,
    "retry_backoff_factor": 0.5,
}

# Patched, because there is no setting: for each job the SDK runs git, to describe the repository that the controller's
# working folder happens to be in.
bound_retry_after(policies.RetryPolicy)
vars(_job_operations)["get_git_properties"] = dict
logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)  # its import sets the lowest level

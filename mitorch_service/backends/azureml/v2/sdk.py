"""The one place where azure-ai-ml is imported: quiet, and without what it does beside its work. Takes a second or two.

Everything that speaks to Azure through it imports its names from here.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

# It warns of experimental classes and retries, which are none of a user's business; errors reach us as exceptions.
for _name in ("azure", "msrest", "msal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of deprecations inside the SDK
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

# Of every request. Its own defaults repeat a failing call for minutes, or as long as the service asks for; the next
# pass repeats it anyway.
LIMITS: dict[str, Any] = {
    "connection_timeout": 10.0,
    "read_timeout": 60.0,
    "retry_total": 1,
    "retry_status": 0,
    "retry_backoff_factor": 0.5,
}

# Of what it does with each job there is no setting for this: it runs git, to tell Azure of the repository that the
# controller happens to stand in.
vars(_job_operations)["get_git_properties"] = dict
logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)  # which its import has set to tell everything

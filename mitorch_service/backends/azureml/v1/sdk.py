"""The only module that imports azureml-core; limits its timeouts and retries and silences its harmless warnings.

All code that uses the SDK imports its names from here. The import takes half a second.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from mitorch_service.backends.azureml.retry_waits import bound_retry_after

# Read by the SDK during its import. By default it repeats a failing call for minutes, but the next pass repeats it
# anyway. Values already set in the environment are kept.
os.environ.setdefault("AZUREML_DEFAULT_RETRIES", "1")
os.environ.setdefault("AZUREML_DEFAULT_BACKOFF", "2")
os.environ.setdefault("AZUREML_DEFAULT_500_BACKOFF", "1")
os.environ.setdefault("AZUREML_DEFAULT_503_BACKOFF", "1")
os.environ.setdefault("AZUREML_FLUSH_INGEST_WAIT_TIMEOUT_SECONDS", "10")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the SDK
    import requests
    import urllib3
    from azure.core.pipeline.policies import RetryPolicy
    from azureml._base_sdk_common import utils as _sessions
    from azureml._base_sdk_common.project_snapshot_cache import ContentSnapshotCache
    from azureml._restclient import utils as _more_sessions
    from azureml._restclient.experiment_client import ExperimentClient
    from azureml._restclient.utils import _generate_client_kwargs as client_arguments
    from azureml._restclient.workspace_client import WorkspaceClient
    from azureml.core import Datastore as SdkDatastore
    from azureml.core import Environment, Experiment, Model, Run, RunConfiguration, ScriptRunConfig, Workspace
    from azureml.core.authentication import ServicePrincipalAuthentication, TokenAuthentication
    from azureml.core.compute import AmlCompute, ComputeTarget
    from azureml.core.runconfig import DockerConfiguration, PyTorchConfiguration
    from azureml.data._dataset_rest_helper import _restclient as dataset_client
    from azureml.data.azure_storage_datastore import AzureBlobDatastore
    from azureml.exceptions import AzureMLException
    from msrest.exceptions import ClientRequestError, HttpOperationError
    from msrest.universal_http.requests import ClientRetryPolicy

__all__ = [
    "AmlCompute",
    "AzureBlobDatastore",
    "AzureMLException",
    "ClientRequestError",
    "ComputeTarget",
    "ContentSnapshotCache",
    "DockerConfiguration",
    "Environment",
    "Experiment",
    "ExperimentClient",
    "HttpOperationError",
    "Model",
    "PyTorchConfiguration",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "SdkDatastore",
    "ServicePrincipalAuthentication",
    "TokenAuthentication",
    "Workspace",
    "WorkspaceClient",
    "client_arguments",
    "dataset_client",
    "requests",
]

_CONNECT_SECONDS = 10.0  # for every request that the SDK sends without a timeout of its own
_READ_SECONDS = 60.0

# Its warnings (a name missing in a reply, a retry) do not concern users; errors reach us as exceptions.
for _name in ("azureml", "azure", "msrest", "msal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


_RETRIES = 1  # per call; by default msrest, the SDK's sessions and the SDK itself each repeat it three times


def _bound_time(adapter: Any) -> None:
    send = adapter.send

    def bounded(self: Any, request: Any, stream: bool = False, timeout: Any = None, **options: Any) -> Any:
        limits = (_CONNECT_SECONDS, _READ_SECONDS) if timeout is None else timeout
        return send(self, request, stream=stream, timeout=limits, **options)

    adapter.send = bounded


def _bound_retries(policy: Any) -> None:
    initialise = policy.__init__

    def bounded(self: Any) -> None:
        initialise(self)
        self.retries = _RETRIES

    policy.__init__ = bounded


def _bound_sessions(module: Any) -> None:
    policy = module.get_retry_policy

    def bounded(num_retry: int = _RETRIES, **options: Any) -> Any:
        return policy(num_retry=min(num_retry, _RETRIES), **options)

    module.get_retry_policy = bounded


# Patched, because there are no settings for these, and a service that hangs would delay a whole pass.
_bound_time(requests.adapters.HTTPAdapter)
_bound_retries(ClientRetryPolicy)
_bound_sessions(_sessions)
_bound_sessions(_more_sessions)
bound_retry_after(urllib3.Retry)
bound_retry_after(RetryPolicy)

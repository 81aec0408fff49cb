"""Prints the Function's requirements with the SDKs of its clusters only.

`python -m scripts.deploy.requirements CLUSTERS`, the path of a JSON file.

Each SDK of Azure ML brings some hundred packages, which a cold start loads from a network share.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import MiTorchError
from mitorch_service.settings import read_settings

_ALL = Path(__file__).parents[2] / "functions" / "requirements.txt"
_SDKS = {"v1": ("azure-v1", "azureml-core"), "v2": ("azure", "azure-ai-ml")}  # extra of our wheel, package


def main() -> int:
    """Prints them, or a problem with exit code 2."""
    try:
        clusters = read_settings({**os.environ, "MITORCH_CLUSTERS": sys.argv[1]}).clusters
    except MiTorchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sdks = {cluster.sdk for cluster in clusters if isinstance(cluster, AzureMLCluster)}
    sys.stdout.write(requirements(_ALL.read_text(), sdks))
    return 0


def requirements(text: str, sdks: Collection[str]) -> str:
    """Returns the lines of functions/requirements.txt without the SDKs that are not among `sdks`."""
    left_out = [_SDKS[name] for name in _SDKS if name not in sdks]
    for extra, package in left_out:
        text = re.sub(rf"^{re.escape(package)}==.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(rf"(?<=[\[,]){re.escape(extra)}(?=[,\]]),?", "", text)
    return text


if __name__ == "__main__":
    sys.exit(main())

"""The images of nodes: what the workspace builds, and what whoever builds one by the Dockerfiles gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.backends.azureml.node_image import PYTHON, our_image
from mitorch_service.backends.azureml.quota import has_gpus

DOCKER = Path(__file__).parents[3] / "scripts" / "docker"


@pytest.mark.parametrize(("gpus", "file"), [(0, "Dockerfile.cpu"), (1, "Dockerfile.gpu"), (None, "Dockerfile.gpu")])
def test_the_workspace_builds_on_the_image_of_the_dockerfile(gpus: int | None, file: str) -> None:
    text = (DOCKER / file).read_text()
    assert f"FROM {our_image(gpus)[1]}\n" in text
    assert f"ARG PYTHON={PYTHON}\n" in text


@pytest.mark.parametrize(
    ("size", "gpus"),
    [
        ("Standard_NC4as_T4_v3", True),
        ("standard_nd96isr_h100_v5", True),
        ("Standard_NV36ads_A10_v5", True),
        ("Standard_D2_v2", False),
        ("Standard_NP10s", False),
    ],
)
def test_sizes_with_gpus(size: str, gpus: bool) -> None:
    assert has_gpus(size) == gpus

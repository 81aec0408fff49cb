"""Our environment of a run: a base image, on which the workspace installs the pinned requirements, once.

A node's driver is shown to the processes of an image with CUDA only: on one without it they would see no GPU.
"""

from __future__ import annotations

PYTHON = "3.11"
_CPU = ("mitorch", "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1")
_GPU = ("mitorch-gpu", "mcr.microsoft.com/azureml/openmpi5.0-cuda12.6-ubuntu24.04:20251130.v1")


def our_image(gpus: int | None) -> tuple[str, str]:
    """Returns the environment's name in the workspace and its base image. `gpus` of a node; None: not known, where the
    image with CUDA runs as well."""
    return _CPU if gpus == 0 else _GPU

"""A cluster of kind `local`: this machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mitorch_service.cluster_settings.cluster_fields import ClusterFields


class LocalCluster(ClusterFields):
    """Slots of this machine. A slot counts as a node, and a training takes one."""

    kind: Literal["local"] = "local"
    slots: Annotated[int, Field(ge=0, le=1024, strict=True)] | None = (
        None  # None: one per GPU; without GPUs two, or one if the machine has one core
    )
    # Seconds without a sign of life after which a run is ended as lost: it is stopped, or hangs as a whole.
    max_silence: Annotated[float, Field(ge=10, le=1e9, strict=True)] = 900.0

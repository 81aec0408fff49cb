"""The fields that every kind of cluster has in MITORCH_CLUSTERS."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ClusterFields(BaseModel):
    """The fields of every kind of cluster. Errors do not repeat the input, because it may contain a password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 0.0  # per node and hour
    low_priority: Annotated[bool, Field(strict=True)] = False  # its nodes may be preempted; else dedicated
    gpus: Annotated[int, Field(ge=0, le=64, strict=True)] | None = None  # per node; None: as the cluster reports
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None  # GiB per node; None: enough
    # Seconds after which a run that no training knows is canceled, if it is certainly ours; None: it is only told of.
    cancel_leaks_after: Annotated[float, Field(ge=600, le=1e9, strict=True)] | None = None
    data: tuple[str, ...] = ()  # near the cluster: storage accounts, hosts or data sets, with the wildcards * and ?

    @property
    def node_gpus(self) -> int | None:
        """The GPUs of a node, if the settings say so."""
        return self.gpus

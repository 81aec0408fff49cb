"""A cluster of kind `slurm`: a partition of a Slurm cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mitorch_service.cluster_settings.cluster_fields import ClusterFields

_DIGITS = 9  # of a count that Slurm writes
_Word = Annotated[str, Field(pattern=r"^[^\s-][^\s]*$")]  # no dash first: it would be read as an option
_Count = Annotated[int, Field(ge=1, strict=True)]
_Line = Annotated[str, Field(pattern=r"^[^\r\n\x00]+$")]
_Path = Annotated[str, Field(pattern=r"^/[^\r\n\x00]*$")]
# Slurm's own forms: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS
_Time = Annotated[str, Field(pattern=r"^(\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2})$")]


class SlurmCluster(ClusterFields):
    """Jobs in a partition. A node of a training is what one job asks of one of Slurm's nodes."""

    kind: Literal["slurm"]
    partition: _Word | None = None  # None: Slurm's default
    account: _Word | None = None
    qos: _Word | None = None
    gres: _Word | None = None  # as sbatch takes it, in place of `gpus`: gpu:a100:2
    cpus: _Count | None = None  # of each node; None: Slurm's default
    time: _Time | None = None  # None: the partition's limit
    nodes: _Count | None = None  # that a training can have at most; None: as many as there are
    max_jobs: Annotated[int, Field(ge=0, strict=True)] | None = None  # of ours at a time, with those that wait there
    setup: tuple[_Line, ...] = ()  # lines of bash before a run, such as module load cuda
    python: _Line | None = None  # on the nodes; None: this one's path
    container_image: _Word | None = None  # for pyxis
    container_mounts: tuple[_Word, ...] = ()  # beside the folder
    ssh: _Word | None = None  # the host on which sbatch is called; None: here
    folder: _Path | None = None  # that nodes and controllers share; None: MITORCH_HOME
    options: tuple[Annotated[_Line, Field(pattern=r"^--")], ...] = ()  # further ones of sbatch
    # Seconds without a sign of life after which a run is ended as lost: one whose database is away waits an hour.
    max_silence: Annotated[float, Field(ge=600, le=1e9, strict=True)] = 3600.0

    @model_validator(mode="after")
    def _one_word_for_gpus(self) -> SlurmCluster:
        if self.gres is not None and self.gpus is not None:
            raise ValueError("gres and gpus both say how many GPUs a job asks for: give one of them")
        return self

    @property
    def node_gpus(self) -> int | None:
        """None: Slurm says what a node has; `gpus` is what a job asks for."""
        return None

    def asked_gpus(self) -> int | None:
        """Returns the GPUs of each node that a training asks for if its config does not say; None: all of them."""
        if self.gres is None:
            return self.gpus
        return gpus_in(self.gres)

    def limit_seconds(self) -> int | None:
        """Returns the time limit in seconds; None if the settings give none."""
        if self.time is None:
            return None
        days, dash, clock = self.time.rpartition("-")
        parts = [int(part) for part in clock.split(":")]
        if dash:
            hours, minutes, seconds = (*parts, 0, 0)[:3]
        elif len(parts) == 3:
            hours, minutes, seconds = parts
        else:
            hours, (minutes, seconds) = 0, (*parts, 0)[:2]
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def gpus_in(gres: str) -> int:
    """Returns the number of GPUs in generic resources, such as ``gpu:a100:4(S:0-1),shard:8``."""
    plain = re.sub(r"\([^)]*\)", "", gres)
    found = [one.split(":") for one in plain.split(",") if one.partition(":")[0] == "gpu"]
    return sum(count_in(parts[-1]) for parts in found)


def count_in(text: str) -> int:
    """Returns the number that Slurm writes for a count; 1 if it is none."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 1

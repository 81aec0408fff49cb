"""The processes of one training: one per GPU, as torchrun's environment names them, or only this one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mitorch_service.errors import ProcessLost
from mitorch_service.training.device import best_device

Value = TypeVar("Value")

# The first process may have to fetch the data before it joins; a step takes seconds at most.
_PATIENCE = timedelta(minutes=60)


class Processes:
    """The processes of one training, each with the same config and data. All of them must call each method except
    `joined` at the same point of the training, or none."""

    def __init__(self, rank: int = 0, world_size: int = 1, device: torch.device | None = None) -> None:
        self.rank = rank
        self.world_size = world_size
        self.device = device or best_device()
        self._control: dist.ProcessGroup | None = None  # exchanges objects over main memory: no wait for the GPU

    @property
    def first(self) -> bool:
        """Whether this is the process that reports and saves."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.world_size == 1

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[Processes]:
        """Joins the processes that ``WORLD_SIZE``, ``RANK``, ``LOCAL_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT`` name;
        without them, this process is alone. Raises ProcessLost once another process has ended."""
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        if world_size == 1 or dist.is_initialized():
            yield cls()
            return
        processes = cls(int(os.environ["RANK"]), world_size, _own_device())
        cuda = processes.device.type == "cuda"
        if cuda:
            torch.cuda.set_device(processes.device)
        dist.init_process_group("nccl" if cuda else "gloo", timeout=_PATIENCE)
        try:
            if cuda:  # every rank is a member, so this is never torch's placeholder for one that is not
                processes._control = dist.new_group(backend="gloo", timeout=_PATIENCE)  # type: ignore[assignment]
            yield processes
        except RuntimeError as error:
            if isinstance(error, dist.DistError) or "/gloo/" in str(error):
                raise ProcessLost(str(error).strip().partition("\n")[0]) from error
            raise
        finally:
            dist.destroy_process_group()

    def prepared(self, module: nn.Module) -> nn.Module:
        """The module with batch normalization over the batches of all processes, which needs GPUs."""
        if self.alone or self.device.type != "cuda":
            return module
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return synced

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module to call in training: its backward pass leaves the mean of all processes' gradients."""
        return module if self.alone else DistributedDataParallel(module)

    def unsynchronized(self, module: nn.Module) -> AbstractContextManager[None]:
        """A context for a backward pass whose gradients are not used yet; `module` is one that `wrapped` returned."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def same_buffers(self, module: nn.Module) -> None:
        """Copies the first process's buffers (statistics of normalization layers) to all."""
        if not self.alone:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def to_first(self, value: Value) -> list[Value] | None:
        """Gathers every process's value, by rank, in the first process; None in the others."""
        if self.alone:
            return [value]
        values = [value] * self.world_size if self.first else None  # overwritten
        dist.gather_object(value, values, dst=0, group=self._control)
        return values

    def of_first(self, value: Value) -> Value:
        """Copies the first process's value to all."""
        if self.alone:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._control, device=torch.device("cpu"))
        return box[0]

    def of_all(self, value: Value) -> list[Value]:
        """Gathers every process's value, by rank, in all of them."""
        if self.alone:
            return [value]
        values = [value] * self.world_size  # overwritten
        dist.all_gather_object(values, value, group=self._control)
        return values


def _own_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("cpu")

"""The processes of a run: one, or those that `torchrun` starts.

Under `torchrun` (`WORLD_SIZE` above 1) a process group is made: NCCL on CUDA, Gloo elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import numpy as np
import torch
import torch.distributed as dist

WAIT: Final = timedelta(hours=2)
"""The others wait so long while the first process validates or saves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """This process among those of the run."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    """Processes on this machine."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where messages between processes lie."""

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def any(self, here: bool) -> bool:
        """Whether it is so in any process; all must ask together."""
        if self.world == 1:
            return here
        flag = torch.tensor([float(here)], device=self.device)
        dist.all_reduce(flag)
        return bool(flag.item() > 0)

    def of_first(self, text: str) -> str:
        """What the first process has said; all must ask together."""
        if self.world == 1:
            return text
        data = text.encode()
        size = torch.tensor(len(data), device=self.device)
        dist.broadcast(size, 0)
        message = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.first:
            message.copy_(torch.from_numpy(np.frombuffer(data, np.uint8).copy()))
        dist.broadcast(message, 0)
        return bytes(message.cpu().numpy()).decode()

    def barrier(self) -> None:
        """Waits for all."""
        if self.world > 1:
            dist.barrier()


def processes() -> Processes:
    """What `torchrun` says, or one process."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes()
    return Processes(
        rank=int(os.environ["RANK"]),
        world=world,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_world=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )


def join(group: Processes, device: torch.device) -> Processes:
    """Joins the process group, where there are several."""
    group = replace(group, device=device)
    if group.world == 1 or dist.is_initialized():
        return group
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=WAIT, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=WAIT)
    return group

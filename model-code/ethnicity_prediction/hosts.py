"""One host or several: the same loop, kept in step by torch.distributed."""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from .errors import MalformedError

PORT = 29500
TIMEOUT = timedelta(minutes=10)  # a host that died must not hold the others for ever


@dataclass(frozen=True)
class Group:
    """The place of this host among the training hosts."""

    rank: int = 0
    size: int = 1
    first: str = ""
    interface: str | None = None

    @property
    def leads(self) -> bool:
        """The first host alone evaluates, reports and saves."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        if self.size == 1:
            return
        if self.interface:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", self.interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", self.interface)
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"tcp://{self.first}:{PORT}",
            rank=self.rank,
            world_size=self.size,
            timeout=TIMEOUT,
        )

    def leave(self) -> None:
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def wrap(self, net: nn.Module) -> nn.Module:
        """Gradients averaged over the hosts; parameters start as the first host's."""
        return nn.parallel.DistributedDataParallel(net) if self.size > 1 else net

    def agree(self, value: float, device: torch.device) -> float:
        """The first host's value, on every host."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(shared, src=0)
        return float(shared.item())

    def same(self, value: float, device: torch.device) -> bool:
        """Whether all hosts have the first one's value."""
        return not self.any(self.agree(value, device) != value, device)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any host says so."""
        if self.size == 1:
            return flag
        shared = torch.tensor([float(flag)], device=device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return bool(shared.item() > 0)


def group_from(config: dict[str, Any]) -> Group:
    """SageMaker's resourceconfig.json -> our place in it."""
    hosts = sorted(config.get("hosts") or [])
    if len(hosts) < 2:
        return Group()
    current = config.get("current_host")
    if current not in hosts:
        raise MalformedError(f"resourceconfig.json: current_host {current!r} is not among {hosts}")
    return Group(hosts.index(current), len(hosts), hosts[0], config.get("network_interface_name"))


def read_group(config: Path) -> Group:
    path = config / "resourceconfig.json"
    return group_from(json.loads(path.read_text()) if path.exists() else {})

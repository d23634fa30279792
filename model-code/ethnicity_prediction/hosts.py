"""One host or several: the same loop, kept in step by torch.distributed."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from .errors import MalformedError
from .liveness import PeerLostError, Watch, key_of

PORT = 29500
MEETING = timedelta(minutes=10)  # until all hosts have started
SHARDED = "ShardedByS3Key"
CONFIGURATIONS = ("resourceconfig", "inputdataconfig")
STEP = timedelta(minutes=30)  # for what one host does while the others wait, validation above all


@dataclass(frozen=True)
class Group:
    """The place of this host among the training hosts."""

    rank: int = 0
    hosts: tuple[str, ...] = ("",)
    interface: str | None = None
    sharded: bool = False  # whether each host has rows of its own; else all have all

    @property
    def size(self) -> int:
        return len(self.hosts)

    @property
    def leads(self) -> bool:
        """The first host alone evaluates, reports and saves."""
        return self.rank == 0

    @contextmanager
    def joined(
        self, device: torch.device, silence_s: float, give_up: Callable[[str], None]
    ) -> Iterator[None]:
        """Work together; where another host ends or is silent too long, so does this one.

        PeerLostError says which. Where this host hangs in a call that waits for the lost one,
        `give_up` gets the reason instead, on another thread, and must end the process.
        """
        if self.size == 1:
            yield
            return
        watch = self._meet(device, silence_s, give_up)
        try:
            yield
            with suppress(RuntimeError):  # all is done: who is lost now, loses nothing
                distributed.barrier()
        except Exception as error:
            if reason := watch.blame(error):
                raise PeerLostError(reason) from error
            watch.tell(f"{type(error).__name__}: {error}")
            raise
        finally:
            watch.stop()
        distributed.destroy_process_group()

    def _meet(
        self, device: torch.device, silence_s: float, give_up: Callable[[str], None]
    ) -> Watch:
        if self.interface:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", self.interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", self.interface)
        # NCCL would end the process without a word; the watch ends it with one.
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
        store = self._store()
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=distributed.PrefixStore("group", store),
            rank=self.rank,
            world_size=self.size,
            timeout=STEP,
        )
        return Watch(store.clone(), self.hosts, self.rank, silence_s, give_up)

    def _store(self) -> distributed.TCPStore:
        """What the first host keeps for all; it is there once every host has come."""
        first, limit = self.hosts[0], MEETING.total_seconds()
        try:
            store = distributed.TCPStore(
                first, PORT, is_master=self.leads, timeout=MEETING, wait_for_workers=False
            )
        except RuntimeError as error:
            raise PeerLostError(
                f"host {first} cannot be reached at port {PORT} within {limit:.0f} s: {error}"
            ) from error
        keys = {host: key_of(host) for host in self.hosts}
        store.set(keys[self.hosts[self.rank]], "0 ")
        try:
            store.wait(list(keys.values()), MEETING)
        except RuntimeError as error:
            missing = [host for host, key in keys.items() if not store.check([key])]
            raise PeerLostError(
                f"host {', '.join(missing)} has not come within {limit:.0f} s; look at its log"
            ) from error
        return store

    def wrap(self, net: nn.Module) -> nn.Module:
        """Gradients averaged over the hosts; parameters start as the first host's."""
        return nn.parallel.DistributedDataParallel(net) if self.size > 1 else net

    def dealt(self, rows: np.ndarray) -> np.ndarray:
        """Rows that fall to this host, of those that it has."""
        return rows if self.sharded else rows[self.rank :: self.size]

    def agree(self, value: float, device: torch.device) -> float:
        """The first host's value, on every host."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(shared, src=0)
        return float(shared.item())

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any host says so."""
        return self.most(float(flag), device) > 0

    def most(self, value: float, device: torch.device) -> float:
        """The greatest of all hosts' values."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return float(shared.item())

    def heard_from(self, rank: int, data: bytes, device: torch.device) -> bytes:
        """What that host gives here, on every host."""
        if self.size == 1:
            return data
        length = torch.tensor([len(data)], device=device)
        distributed.broadcast(length, src=rank)
        mine = data if rank == self.rank else bytes(int(length.item()))
        shared = torch.from_numpy(np.frombuffer(mine, np.uint8).copy()).to(device)
        distributed.broadcast(shared, src=rank)
        return shared.cpu().numpy().tobytes()

    def everyone(self, value: Any, device: torch.device) -> list[Any]:
        """What each host says, in their order; JSON."""
        text = json.dumps(value).encode()
        return [json.loads(self.heard_from(rank, text, device)) for rank in range(self.size)]


def group_from(resources: dict[str, Any], channels: dict[str, Any]) -> Group:
    """SageMaker's resourceconfig.json and inputdataconfig.json -> our place in it."""
    hosts = sorted(resources.get("hosts") or [])
    if len(hosts) < 2:
        return Group()
    current = resources.get("current_host")
    if current not in hosts:
        raise MalformedError(f"resourceconfig.json: current_host {current!r} is not among {hosts}")
    sharded = {
        name for name, about in channels.items() if about.get("S3DistributionType") == SHARDED
    }
    if sharded - {"train"} or (sharded and "validation" not in channels):
        raise MalformedError(
            f"channels {', '.join(sorted(sharded))} are {SHARDED}: only train may be, and then the "
            "first host needs a channel validation that is FullyReplicated"
        )
    return Group(
        hosts.index(current), tuple(hosts), resources.get("network_interface_name"), bool(sharded)
    )


def read_group(config: Path) -> Group:
    return group_from(*(_read(config / f"{name}.json") for name in CONFIGURATIONS))


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}

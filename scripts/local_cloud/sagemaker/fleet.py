"""The model servers of one endpoint configuration, and how traffic is split between two fleets."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
from collections.abc import Iterator

from local_cloud.background import together
from local_cloud.sagemaker.server import ModelServer


class UnknownVariant(KeyError):
    """A request names a variant that the endpoint does not have."""


class NotServing(RuntimeError):
    """There is no fleet to send the request to."""


class Fleet:
    """One server for each variant."""

    def __init__(self, servers: list[ModelServer]) -> None:
        self.servers = servers

    def start(self) -> None:
        """Start every server; Unhealthy, and all stopped, if one does not come up."""
        try:
            together(server.start for server in self.servers)
        except BaseException:
            self.stop()
            raise

    def answers(self) -> bool:
        """Say whether every server is healthy now."""
        return all(server.answers() for server in self.servers)

    def stop(self) -> None:
        """Stop every server and free the disk; the logs stay."""
        together(server.stop for server in self.servers)
        for server in self.servers:
            shutil.rmtree(server.ml_root, ignore_errors=True)

    def choose(self, variant: str, at: float) -> ModelServer:
        """Return the variant's server, or one by weight; at: a number in [0, 1)."""
        if variant:
            for server in self.servers:
                if server.variant.name == variant:
                    return server
            raise UnknownVariant(variant)
        weights = [
            float(server.variant.definition.get("InitialVariantWeight", 1.0))
            for server in self.servers
        ]
        mark = at * sum(weights)
        for server, weight in zip(self.servers, weights, strict=True):
            if mark < weight:
                return server
            mark -= weight
        return self.servers[-1]


class Traffic:
    """Which fleet answers: the blue one, and while an update is under way a share by the green."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blue: Fleet | None = None
        self._green: Fleet | None = None
        self._share = 0.0

    @property
    def blue(self) -> Fleet:
        """The fleet in service."""
        if self._blue is None:
            raise NotServing
        return self._blue

    def serve(self, fleet: Fleet) -> None:
        """Send everything to this fleet from now on."""
        with self._lock:
            self._blue, self._green, self._share = fleet, None, 0.0

    def shift(self, green: Fleet, share: float) -> None:
        """Send this share (0 to 1) to the green fleet."""
        with self._lock:
            self._green, self._share = green, share

    def shift_back(self) -> None:
        """Send everything to the blue fleet again."""
        with self._lock:
            self._green, self._share = None, 0.0

    def end(self) -> Fleet | None:
        """Send nothing anywhere; return the fleet that served."""
        with self._lock:
            fleet, self._blue, self._green = self._blue, None, None
            return fleet

    @contextlib.contextmanager
    def server(self, variant: str = "") -> Iterator[ModelServer]:
        """Choose a server for one request, and count the request for as long as it lasts."""
        with self._lock:
            fleet = self._choose_fleet(random.random())  # noqa: S311  (no secret)
            server = fleet.choose(variant, random.random())  # noqa: S311
            server.enter()
        try:
            yield server
        finally:
            server.leave()

    def _choose_fleet(self, at: float) -> Fleet:
        if self._green is not None and at < self._share:
            return self._green
        return self.blue

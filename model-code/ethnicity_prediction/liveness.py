"""Knowing when another host is gone: all tell all others every second that they live."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

BEAT_S = 1.0
SOON_S = 3 * BEAT_S  # of silence that says enough once something else has failed
GRACE_S = 2 * SOON_S  # in which the program may find out by itself and end in good order
log = logging.getLogger("train")


class PeerLostError(RuntimeError):
    """Another host is gone, or has failed; the text says which, and what to do."""


class Store(Protocol):
    """What all hosts can write to and read: torch's TCPStore."""

    def set(self, key: str, value: str) -> None: ...
    def multi_get(self, keys: list[str]) -> list[bytes]: ...


def key_of(host: str) -> str:
    """Where the host says that it lives: a count, a space, and why it ends, if it does."""
    return f"alive/{host}"


@dataclass
class Hearing:
    """What this host has heard of the others, and when (seconds of any clock)."""

    hosts: Sequence[str]
    rank: int
    began: float
    said: dict[str, str] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    def take(self, texts: Sequence[str], now: float) -> None:
        """Note what each host says now; the first one keeps it all, so it lives too."""
        for host, text in zip(self.hosts, texts, strict=True):
            if host == self.hosts[0] or self.said.get(host) != text:
                self.heard[host] = now
            self.said[host] = text

    def verdict(self, now: float, silence_s: float) -> str | None:
        """Why this training cannot go on; None where nothing speaks against it."""
        others = [host for host in self.hosts if host != self.hosts[self.rank]]
        for host in others:
            if fault := self.said.get(host, "").partition(" ")[2]:
                return f"host {host} failed: {fault}"
        silence = {host: now - self.heard.get(host, self.began) for host in others}
        lost = [host for host in others if silence[host] > silence_s]
        if self.rank and self.hosts[0] in lost:
            lost = [self.hosts[0]]  # the others are only heard through it
        if not lost:
            return None
        return (
            f"lost host {', '.join(lost)}: not heard of for {silence[lost[0]]:.0f} s. Look for the "
            "reason in its log (memory, a reclaimed spot instance, the network between the hosts), "
            "then start the training again. Only a job that SageMaker itself restarts goes on from "
            "its last checkpoint."
        )


class Watch:
    """The thread that speaks and listens, and the one that judges what was heard."""

    def __init__(
        self,
        store: Store,
        hosts: Sequence[str],
        rank: int,
        silence_s: float,
        give_up: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.rank, self.silence_s, self.give_up = store, rank, silence_s, give_up
        self.clock, self.keys = clock, [key_of(host) for host in hosts]
        self.hearing = Hearing(hosts, rank, clock())
        self.fault, self.ended, self.told = "", threading.Event(), threading.Event()
        self.threads = [
            threading.Thread(target=work, daemon=True) for work in (self._speak, self._judge)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ended.set()

    def blame(self, error: BaseException) -> str | None:
        """Who else is to blame for an error, if anybody: known soon after a connection broke."""
        end = self.clock() + SOON_S + 2 * BEAT_S
        while isinstance(error, RuntimeError):
            now = self.clock()  # however late this thread comes, it looks once after the end
            if reason := self.hearing.verdict(now, SOON_S):
                return reason
            if now > end:
                break
            time.sleep(BEAT_S / 4)
        return None

    def tell(self, fault: str) -> None:
        """Let the others know why this host ends, and leave them the time to hear it."""
        self.fault = fault
        self.told.wait(SOON_S)
        time.sleep(SOON_S if self.rank == 0 else 0)  # with the first host ends what keeps it all

    def _speak(self) -> None:
        count = 0
        while not self.ended.is_set():
            count, fault = count + 1, self.fault
            try:
                self.store.set(self.keys[self.rank], f"{count} {fault}")
                texts = [text.decode() for text in self.store.multi_get(self.keys)]
            except RuntimeError as error:
                log.warning("host %s does not answer: %s", self.hearing.hosts[0], error)
                return
            self.hearing.take(texts, self.clock())
            if fault:
                self.told.set()
            self.ended.wait(BEAT_S)

    def _judge(self) -> None:
        while not self.ended.wait(BEAT_S / 2):
            if not self._verdict() or self.ended.wait(GRACE_S):
                continue
            if reason := self._verdict():  # and not a silence that has ended meanwhile
                self.give_up(reason)
                return

    def _verdict(self) -> str | None:
        return self.hearing.verdict(self.clock(), self.silence_s)

"""A worker: loads the model, then answers requests until it is told to leave."""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from pathlib import Path

import uvloop

from .app import App, inline_limits
from .connection import Connection, Shared
from .export import load
from .logs import Journal
from .predictor import Predictor
from .privileges import give_up
from .room import Room
from .server import CANNOT_LOAD
from .wire import MAX_BODY_BYTES, Limits

DRAIN_S = 20.0  # for requests under way; SageMaker kills after 30 s
ASIDE_S = 0.003  # for another worker to take a connection
TICK_S = 0.25  # between two looks at the connections' deadlines
MAX_CONNECTIONS = 900  # of one worker: a process may open 1,024 files
ROOM_BYTES = 10 * MAX_BODY_BYTES  # for the large bodies of all of them; 900 would be 5 GB
log = logging.getLogger("serve")


class Server:
    """Accepts connections from a listener that several workers share."""

    def __init__(self, shared: Shared, journal: Journal, listener: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        self.shared, self.journal, self.listener = shared, journal, listener
        self.accepting = self.stepped_aside = False
        self.greeting: set[asyncio.Task[object]] = set()
        shared.count()
        listener.setblocking(False)
        self._tick()

    def _tick(self) -> None:
        self.shared.now = self.loop.time()
        for connection in tuple(self.shared.open):
            connection.check()
        self.journal.flush()
        if not self.accepting:
            self._accept_more()
        self.timer = self.loop.call_later(TICK_S, self._tick)

    def _accept_more(self) -> None:
        if len(self.shared.open) < MAX_CONNECTIONS and not self.shared.draining:
            self.loop.add_reader(self.listener, self._accept)
            self.accepting = True

    def _stop_accepting(self) -> None:
        self.loop.remove_reader(self.listener)
        self.accepting = False

    def _accept(self) -> None:
        """Take one connection, unless a worker with fewer of them takes it within a moment."""
        shared = self.shared
        if shared.loads[shared.slot] > min(shared.loads) and not self.stepped_aside:
            self.stepped_aside = True
            self._stop_accepting()
            self.loop.call_later(ASIDE_S, self._accept_more)
            return
        self.stepped_aside = False
        self._take()
        if len(self.shared.open) >= MAX_CONNECTIONS:
            self._stop_accepting()

    def _take(self) -> bool:
        """Take a connection that waits; say whether there was one."""
        try:
            client, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was quicker
            return False
        except OSError as error:
            log.error("cannot accept a connection: %s", error)  # noqa: TRY400
            self._stop_accepting()  # until the next tick
            return False
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting = self.loop.connect_accepted_socket(lambda: Connection(self.shared), client)
        task = self.loop.create_task(connecting)
        self.greeting.add(task)
        task.add_done_callback(self.greeting.discard)
        return True

    async def drain(self) -> None:
        """Accept no more; answer what is under way or may have been sent; at most DRAIN_S."""
        self._stop_accepting()
        while self._take():  # who is connected already
            pass
        self.shared.now, self.shared.draining = self.loop.time(), True
        self.shared.count()
        if self.greeting:
            await asyncio.wait(self.greeting)
        for connection in tuple(self.shared.open):
            connection.drain()
        end = self.loop.time() + DRAIN_S
        while self.shared.open and self.loop.time() < end:
            await asyncio.sleep(0.02)
        self.timer.cancel()
        for connection in tuple(self.shared.open):
            connection.transport.abort()
        self.journal.flush()


def work(
    model: Path, listener: socket.socket, lifeline: int, loads: "memoryview[int]", slot: int
) -> int:
    """A worker's life; its exit code."""
    begun = time.perf_counter()
    try:
        predictor = load(model)
        row_s = predictor.warm_up()
        give_up(os.environ)  # before the first byte of a stranger is looked at
    except Exception:
        log.exception("the model cannot be loaded from %s", model)
        return CANNOT_LOAD
    facts = {"model": predictor.card["name"], "version": predictor.card["version"]}
    took = round((time.perf_counter() - begun) * 1000, 1)
    log.info({"event": "ready", **facts, "load_ms": took, "row_ms": round(row_s * 1000, 3)})
    gc.collect()
    gc.freeze()  # what was made so far stays: the collector need not look at it again
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(predictor, inline_limits(row_s), listener, lifeline, loads, slot))
    return 0


async def _serve(
    predictor: Predictor,
    inline: Limits,
    listener: socket.socket,
    lifeline: int,
    loads: "memoryview[int]",
    slot: int,
) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_reader(lifeline, lambda: os._exit(1))
    journal = Journal()
    app = App(predictor, journal, inline)
    room = Room(ROOM_BYTES)
    shared = Shared(app, MAX_BODY_BYTES, room, app.note_refusal, loads=loads, slot=slot)
    server = Server(shared, journal, listener)
    await told.wait()
    await server.drain()

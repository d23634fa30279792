"""One supervisor and its workers; the model is loaded before anything is accepted."""

import logging
import mmap
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import cpus, logs

BACKLOG = 2048
LEAVE_S = 25  # a worker drains for 20 s at most; SageMaker kills after 30
ABSENT = 2**31 - 1  # connections of a worker that takes none
CANNOT_LOAD = 3  # exit code of a worker that has no model
QUICK_S = 10.0  # a worker that fails sooner than this …
QUICK_LIMIT = 5  # … this many times in a row is not worth another
log = logging.getLogger("serve")


@dataclass
class Supervisor:
    """Starts the workers, replaces those that die, and ends them all when told to."""

    model: Path
    listener: socket.socket
    workers: int
    started: dict[int, tuple[int, float]] = field(default_factory=dict)  # slot, time; by process id
    stopping: bool = False
    quick_deaths: int = 0
    exit_code: int = 0

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        self.lifeline, self.held = os.pipe()  # its far end closes when the supervisor dies
        self.loads = memoryview(mmap.mmap(-1, 4 * self.workers)).cast("i")  # the workers share it
        for slot in range(self.workers):
            self._start(slot)
        while self.started:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                break
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return self.exit_code

    def _start(self, slot: int) -> None:
        self.loads[slot] = ABSENT
        endings = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # no handler may run half way
        pid = -1 if self.stopping else os.fork()
        if pid == 0:
            for number in endings:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, endings)
            os.close(self.held)
            os._exit(self._work(slot))
        if pid > 0:
            self.started[pid] = slot, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, endings)

    def _work(self, slot: int) -> int:
        """A worker's life, as an exit code."""
        try:
            # Imported here: the supervisor stays small, and no thread exists when it forks.
            from .worker import work

            return work(self.model, self.listener, self.lifeline, self.loads, slot)
        except BaseException:
            log.exception("worker failed")
            return 1

    def _ended(self, pid: int, code: int) -> None:
        slot, began = self.started.pop(pid)
        lived = time.monotonic() - began
        if self.stopping:
            return
        level = logging.ERROR if code else logging.INFO  # 0: somebody told it to leave
        log.log(level, "worker %d ended with code %d after %.1f s", pid, code, lived)
        self.quick_deaths = self.quick_deaths + 1 if code and lived < QUICK_S else 0
        if code == CANNOT_LOAD or self.quick_deaths >= QUICK_LIMIT:
            self.exit_code = 1
            self._stop()
        else:
            self._start(slot)

    def _stop(self) -> None:
        """Pass the wish on; whoever has not left in time is killed."""
        self.stopping = True
        self._signal(signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: self._signal(signal.SIGKILL))
        signal.alarm(LEAVE_S)

    def _signal(self, number: int) -> None:
        for pid in list(self.started):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def serve(model: Path, port: int, asked: str = "") -> int:
    """Listen on the port until told to stop; the exit code. `asked` is a number of workers."""
    logs.configure()
    try:
        workers = cpus.workers(asked, min(cpus.usable(), cpus.quota()))
    except ValueError as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104  SageMaker connects from outside
    except OSError as error:
        log.error("cannot listen on port %d: %s", port, error)  # noqa: TRY400
        return 1
    listener.listen(BACKLOG)
    log.info({"event": "listening", "port": port, "workers": workers})
    return Supervisor(model, listener, workers).run()

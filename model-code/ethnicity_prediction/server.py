"""One supervisor and a worker for each CPU; the model is loaded before anything is accepted."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

BACKLOG = 2048
DRAIN_S = 20  # for requests under way; SageMaker kills after 30 s
LEAVE_S = 25
CANNOT_LOAD = 3  # exit code of a worker that has no model
QUICK_S = 10.0  # a worker that lives shorter than this …
QUICK_LIMIT = 5  # … this many times in a row is not worth another
log = logging.getLogger("serve")


def configure_logging() -> None:
    """JSON lines on standard output; a message is a text or a dict of facts."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = record.msg if isinstance(record.msg, dict) else {"message": record.getMessage()}
        line = {"time": round(record.created, 3), "level": record.levelname, "pid": record.process}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | facts)


def cpus() -> int:
    """CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


@dataclass
class Supervisor:
    """Starts the workers, replaces those that die, and ends them all when told to."""

    model: Path
    listener: socket.socket
    workers: int
    started: dict[int, float] = field(default_factory=dict)  # by process id
    stopping: bool = False
    quick_deaths: int = 0
    exit_code: int = 0

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        self.lifeline, self.held = os.pipe()  # its far end closes when the supervisor dies
        for _ in range(self.workers):
            self._start()
        while self.started:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                break
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return self.exit_code

    def _start(self) -> None:
        endings = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # no handler may run half way
        pid = -1 if self.stopping else os.fork()
        if pid == 0:
            for number in endings:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, endings)
            os.close(self.held)
            os._exit(_guarded(self.model, self.listener, self.lifeline))
        if pid > 0:
            self.started[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, endings)

    def _ended(self, pid: int, code: int) -> None:
        lived = time.monotonic() - self.started.pop(pid)
        if self.stopping:
            return
        log.error("worker %d ended with code %d after %.1f s", pid, code, lived)
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_S else 0
        if code == CANNOT_LOAD or self.quick_deaths >= QUICK_LIMIT:
            self.exit_code = 1
            self._stop()
        else:
            self._start()

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


def _guarded(model: Path, listener: socket.socket, lifeline: int) -> int:
    """A worker's life, as an exit code."""
    try:
        return _work(model, listener, lifeline)
    except BaseException:
        log.exception("worker failed")
        return 1


def _work(model: Path, listener: socket.socket, lifeline: int) -> int:
    # Imported here: the supervisor stays small, and no thread exists when it forks.
    import numpy as np
    import uvicorn
    import uvloop

    from .app import App
    from .export import load

    begun = time.perf_counter()
    try:
        predictor = load(model)
        spec = predictor.spec
        predictor.predict(np.zeros((1, spec.size, spec.size, spec.channels), np.uint8))
    except Exception:
        log.exception("the model cannot be loaded from %s", model)
        return CANNOT_LOAD
    log.info(
        {
            "event": "ready",
            "model": predictor.card["name"],
            "version": predictor.card["version"],
            "load_ms": round((time.perf_counter() - begun) * 1000, 1),
        }
    )

    async def main() -> None:
        config = uvicorn.Config(
            App(predictor),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_S,
        )
        server = uvicorn.Server(config)
        asyncio.get_running_loop().add_reader(lifeline, lambda: os._exit(1))
        await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0


def serve(model: Path, port: int) -> int:
    """Listen on the port until told to stop; the exit code."""
    configure_logging()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104  SageMaker connects from outside
    except OSError as error:
        log.error("cannot listen on port %d: %s", port, error)  # noqa: TRY400
        return 1
    listener.listen(BACKLOG)
    workers = cpus()
    log.info({"event": "listening", "port": port, "workers": workers})
    return Supervisor(model, listener, workers).run()

"""Runs one program as a container would: `python warden.py STATUS_FD PROGRAM ARGUMENT...`.

The warden leads a process group of its own. It passes SIGTERM on to the program alone, reports the
program's process id (0 if it cannot be started) and at its end its exit code on STATUS_FD, then
kills whatever the program left behind, itself included. Its standard input is a pipe from the local
cloud: when that closes, for whatever reason, all must go, even what is stopped by SIGSTOP.

It runs as a script in an isolated interpreter and imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

NOT_FOUND, NOT_EXECUTABLE = 127, 126


def main() -> None:
    """Start the program, wait for it, report, and end the group."""
    status, program = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(status, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    code = _run(program, status)
    os.write(status, f"{code}\n".encode())
    os.killpg(0, signal.SIGKILL)


def _run(program: list[str], status: int) -> int:
    devnull = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        pid = os.posix_spawnp(
            program[0],
            program,
            os.environ,
            file_actions=[devnull],
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them, programs must not
        )
    except FileNotFoundError:
        os.write(status, b"0\n")
        return _refuse(f'exec: "{program[0]}": executable file not found in $PATH', NOT_FOUND)
    except OSError as error:
        os.write(status, b"0\n")
        return _refuse(f'exec: "{program[0]}": {error.strerror}', NOT_EXECUTABLE)
    os.write(status, f"{pid}\n".encode())
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_the_cloud, daemon=True).start()
    _, waited = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(waited)
    return code if code >= 0 else 128 - code


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
    return code


def _end_with_the_cloud() -> None:
    while os.read(0, 64):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()

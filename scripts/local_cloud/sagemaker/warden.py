"""Runs one program as a container would: `python warden.py STATUS_FD PROGRAM ARGUMENT...`.

The warden leads a process group of its own. It passes SIGTERM on to the program alone, reports the
program's exit code on STATUS_FD, then kills whatever the program left behind, itself included. Its
standard input is a pipe from the local cloud: when that closes, for whatever reason, all must go.

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
    code = _run(program)
    os.write(status, str(code).encode())
    os.killpg(0, signal.SIGKILL)


def _run(program: list[str]) -> int:
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
        return _refuse(f'exec: "{program[0]}": executable file not found in $PATH', NOT_FOUND)
    except OSError as error:
        return _refuse(f'exec: "{program[0]}": {error.strerror}', NOT_EXECUTABLE)
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

"""A command that runs in an image's environment is left to end in its own way."""

import os
import signal
import subprocess
import sys

COMMAND = "trap 'kill $!; sleep 1; echo torn down; exit 3' INT; echo ready; sleep 60 & wait"
PROGRAM = (
    "import pathlib, sys; from local_cloud.docker_cli.prime import become; "
    "become(pathlib.Path(sys.prefix), ['sh', '-c', sys.argv[1]])"
)


def test_an_interrupted_command_ends_in_its_own_time():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, COMMAND],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does
        told, _ = process.communicate(timeout=60)
    assert (process.returncode, told) == (3, "torn down\n")

#!/usr/bin/env python3
"""Lock model-code's requirements with hashes: requirements-X.in -> requirements-X.txt.

torch exists in two builds. The default Linux wheel needs NVIDIA's libraries; the CPU wheel (from
the index that the build argument TORCH_INDEX_URL names) needs none. So those libraries are locked
apart, in cuda-requirements.txt, and torch carries the hashes of both builds. Hashes of the CPU
wheels stand in torch-cpu-wheels.txt. Needs uv.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "model-code"
NAMES = ("serve", "train", "test")  # later ones keep to the versions of the earlier
CUDA = re.compile(r"(nvidia-|cuda-|triton)")
HEADER = "# Made by scripts/lock_requirements.py from {source}; do not edit.\n"


def compile_lock(name: str, before: list[str]) -> str:
    """Run uv for its universal lock: one file for every supported Python and system."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", "3.11", "--no-emit-index-url", "--no-header"]
    command += ["--no-annotate"]
    for other in before:
        command += ["--constraints", f"requirements-{other}.txt"]
    command.append(f"requirements-{name}.in")
    return subprocess.run(command, cwd=FOLDER, check=True, text=True, capture_output=True).stdout


def blocks(lock: str) -> list[str]:
    """The lock's requirements, each with the lines of its hashes."""
    return re.findall(r"^\S.*(?:\n    .*)*\n", lock, flags=re.MULTILINE)


def cpu_wheel_hashes() -> list[str]:
    lines = (FOLDER / "torch-cpu-wheels.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def with_cpu_wheels(block: str) -> str:
    """Requirement of torch, with the hashes of its CPU wheels as well."""
    first, *hashes = block.rstrip("\n").split(" \\\n")
    known = {line.strip().removeprefix("--hash=sha256:") for line in hashes}
    lines = [f"    --hash=sha256:{digest}" for digest in sorted(known | set(cpu_wheel_hashes()))]
    return " \\\n".join([first, *lines]) + "\n"


def locks() -> dict[str, str]:
    """Every lock file's text, by file name; also written, as constraints of the next."""
    texts: dict[str, str] = {}
    for i, name in enumerate(NAMES):
        header = HEADER.format(source=f"requirements-{name}.in")
        parts = blocks(compile_lock(name, list(NAMES[:i])))
        if name == "train":
            cuda = [part for part in parts if CUDA.match(part)]
            texts["cuda-requirements.txt"] = header + "".join(cuda)
            parts = [
                with_cpu_wheels(part) if part.startswith("torch==") else part
                for part in parts
                if not CUDA.match(part)
            ]
        texts[f"requirements-{name}.txt"] = header + "".join(parts)
        (FOLDER / f"requirements-{name}.txt").write_text(texts[f"requirements-{name}.txt"])
    (FOLDER / "cuda-requirements.txt").write_text(texts["cuda-requirements.txt"])
    return texts


def main() -> int:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    locks()
    return 0


if __name__ == "__main__":
    sys.exit(main())

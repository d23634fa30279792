"""Room that a Python's site-packages take: `packages.py [NAME …]`; prints version and MB as JSON.

The sizes of all files as they were installed, in MB of 1,000,000 bytes: without bytecode, for it
depends on what has run there, and with it, which counts in an image, where nothing has run. Without
pip and setuptools, which come with an environment and not with its requirements. With names, only
of what begins with one of them.
"""

import json
import platform
import sys
import sysconfig
from pathlib import Path

TOOLS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence")
named = tuple(sys.argv[1:])
tops = [
    path
    for path in Path(sysconfig.get_path("purelib")).iterdir()
    if path.name.startswith(named or "") and not path.name.startswith(TOOLS)
]
files = [
    path
    for top in tops
    for path in (top, *top.rglob("*"))
    if path.is_file() and not path.is_symlink()
]
size = sum(path.stat().st_size for path in files if path.suffix != ".pyc")
bytecode = sum(path.stat().st_size for path in files if path.suffix == ".pyc")
version = platform.python_version()
print(json.dumps({"python": version, "mb": size / 1e6, "image_mb": (size + bytecode) / 1e6}))

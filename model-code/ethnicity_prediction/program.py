"""Which program this is: another one's checkpoint or measurement is not its own."""

import hashlib
from pathlib import Path


def program_digest(folder: Path = Path(__file__).parent) -> str:
    """SHA-256 of the names and the text of all modules of this package."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        text = path.read_bytes()
        digest.update(f"{path.name} {len(text)}\n".encode() + text)
    return digest.hexdigest()

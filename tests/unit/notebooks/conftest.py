"""The lab's modules lie beside the notebooks, as they do on the instance."""

import sys
from pathlib import Path

NOTEBOOKS = str(Path(__file__).resolve().parents[3] / "notebooks")
if NOTEBOOKS not in sys.path:
    sys.path.append(NOTEBOOKS)

"""Every function's modules have names of their own, so all can be imported side by side."""

import sys
from pathlib import Path

LAMBDA_CODE = Path(__file__).parents[3] / "lambda-code"
sys.path[:0] = [str(folder) for folder in LAMBDA_CODE.glob("Ethnicity-Pred-*")]

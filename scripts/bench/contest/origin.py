"""What a training is made of: digests of its data and of the program; `origin.py CHANNEL`."""

import json
import sys
from pathlib import Path

from ethnicity_prediction.channel import channel_digest
from ethnicity_prediction.program import program_digest

print(json.dumps({"data": channel_digest(Path(sys.argv[1])), "program": program_digest()}))

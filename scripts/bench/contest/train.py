"""Our loop trains the seed's network: an epoch for each line read; prints images a second.

`train.py CSV`. No augmentation, and batches as Keras has them: the same work.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
from bench.contest.seed_network import SeedNetwork
from ethnicity_prediction.channel import read_channel
from ethnicity_prediction.config import Hyperparameters
from ethnicity_prediction.fit import Fit, Part
from ethnicity_prediction.images import InputSpec
from ethnicity_prediction.memory import keep_freed
from ethnicity_prediction.progress import Epoch, Progress

given = Hyperparameters(epochs=10_000, batch_size=64, augment=0.0, patience=1000)
data = read_channel(Path(sys.argv[1]).parent, InputSpec())
codes = data.codes(sorted(set(data.values)))
fit = Fit(SeedNetwork(), given, np.full(5, 0.2), budget_s=math.inf)

keep_freed()  # as a job does before it fits
used = 0.0


def each(epoch: Epoch, _: Progress) -> None:
    """Print the epoch's speed, and wait for the next line; the first epoch warms up."""
    global used
    cpu_s = time.process_time() - used
    facts = {"images_per_s": epoch.images_per_s, "images_per_cpu_s": len(codes) / cpu_s}
    print("ready" if epoch.epoch == 1 else json.dumps(facts), flush=True)
    if not sys.stdin.readline():
        sys.exit()
    used = time.process_time()


never_good = Part(data.images[:64], (codes[:64] + 1) % 5)  # so that the loop goes on
fit.run(Part(data.images, codes), never_good, on_epoch=each)

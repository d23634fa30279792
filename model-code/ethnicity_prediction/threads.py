"""How many CPU threads a step is worth: where others want the CPUs too, one can beat many."""

import time
from collections.abc import Callable

import torch


class ThreadTrial:
    """Tries all threads and one for two steps each per epoch, then keeps to the faster.

    Threads of one step wait for each other; on a busy machine the slowest holds up all.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.most = clock, torch.get_num_threads()
        self.plan = (self.most, self.most, 1, 1) if self.most > 1 else ()
        self.seconds: dict[int, float] = {}

    def before(self, step: int) -> None:
        """Set the threads for this step of the epoch, counted from 0."""
        if step < len(self.plan):
            torch.set_num_threads(self.plan[step])
        elif step == len(self.plan) and self.plan:
            torch.set_num_threads(min(self.seconds, key=self.seconds.__getitem__))
        self.started = self.clock()

    def after(self, step: int) -> None:
        """Note how long it took; the first step with a number of threads only warms up."""
        if step < len(self.plan):
            self.seconds[self.plan[step]] = self.clock() - self.started

    def end(self) -> None:
        """Leave the process as it was found."""
        torch.set_num_threads(self.most)

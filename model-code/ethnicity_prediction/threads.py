"""How many CPU threads a step is worth: where others want the CPUs too, one can beat many."""

import time
from collections.abc import Callable

import torch

PERIOD = 32  # steps from one trial to the next: what others do changes …
LONGEST = 256  # … or it does not: each trial that ends as the last one did doubles the wait
WORTH = 0.8  # of one thread's time: what many must stay below


class ThreadTrial:
    """Tries all threads and one for two steps each, again and again, and keeps to the better.

    Threads of one step wait for each other: on a busy machine the slowest holds up all.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.most = clock, torch.get_num_threads()
        self.plan = (self.most, self.most, 1, 1) if self.most > 1 else ()
        self.seconds: dict[int, float] = {}
        self.step, self.period, self.chosen = 0, PERIOD, 0

    def before(self) -> None:
        """Set the threads of the step that begins."""
        self.step %= self.period
        if self.step < len(self.plan):
            torch.set_num_threads(self.plan[self.step])
        elif self.plan and self.step == len(self.plan):
            self._choose(self.most if self.seconds[self.most] < WORTH * self.seconds[1] else 1)
        self.started = self.clock()

    def _choose(self, threads: int) -> None:
        self.period = min(2 * self.period, LONGEST) if threads == self.chosen else PERIOD
        self.chosen = threads
        torch.set_num_threads(threads)

    def after(self) -> None:
        """Note how long it took; the first step with a number of threads only warms up."""
        if self.step < len(self.plan):
            self.seconds[self.plan[self.step]] = self.clock() - self.started
        self.step += 1

    def end(self) -> None:
        """Leave the process as it was found."""
        torch.set_num_threads(self.most)

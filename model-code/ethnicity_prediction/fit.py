"""The loop: (network, data, hyperparameters) -> the best weights seen and the history."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .augment import augment, scaled
from .config import LEAST_OF_A_HOST, Hyperparameters
from .device import best_device, has_bf16, to_device
from .errors import MalformedError
from .hosts import Group
from .metrics import macro_recall
from .model import BATCH, normalise
from .objective import Objective
from .optimizing import optimizers, set_rates
from .progress import Epoch, Progress, detached
from .threads import ThreadTrial

SMALL = 0.75  # of the side at most, while images are small …
STRIDE = 16  # … and a multiple of what the network divides sides by
SATURATED = 0.99  # a macro recall with little left to gain …
SATURATED_PATIENCE = 2  # … so that waiting for more soon ends


@dataclass(frozen=True)
class Part:
    """Images uint8 [N, size, size, channels], their labels' codes int64 [N], and perhaps groups.

    Those are the codes of auxiliary tasks, int64 [N, tasks].
    """

    images: np.ndarray
    codes: np.ndarray
    groups: np.ndarray | None = None

    def groups_of(self, rows: np.ndarray) -> np.ndarray:
        nothing = np.empty((len(rows), 0), np.int64)
        return nothing if self.groups is None else self.groups[rows]


class Fit:
    """One training; the caller gives the clock, the wish to stop, and what to do at each epoch."""

    def __init__(
        self,
        net: nn.Module,
        config: Hyperparameters,
        prior: np.ndarray,
        *,
        budget_s: float,
        tasks: Sequence[int] = (),
        group: Group = Group(),  # noqa: B008  frozen
        device: torch.device | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.group, self.clock, self.budget_s = config, group, clock, budget_s
        self.device = device or best_device()
        self.threads = ThreadTrial()
        on_card = self.device.type == "cuda"
        self.half = has_bf16(self.device)
        torch.backends.cudnn.benchmark = on_card  # images come in one or two sizes
        self.net = net.to(self.device)
        cast(Any, self.net).to(memory_format=torch.channels_last)  # torch's types do not know it
        self.averaged = copy.deepcopy(self.net).eval()
        self.objective = Objective(config, prior, tasks, self.device)
        self.optimizers = optimizers(self.net, config)

    def run(
        self,
        train: Part,
        validation: Part,
        *,
        resume: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_epoch: Callable[[Epoch, Progress], None] = lambda epoch, progress: None,
    ) -> Progress:
        """Fit until the epochs, the time or the patience end, or someone asks to stop."""
        progress = resume or self._fresh()
        self._load(progress)
        self.started = self.clock() - progress.elapsed_s
        self.whole = train.images.shape[1]
        self.sides = np.random.default_rng(self.config.seed).integers(0, 2, len(train.codes))
        model = self.group.wrap(self.net)
        share = self._share(len(train.codes))
        while not self._ended(progress, share):
            loss, speed, side, stopped = self._epoch(model, train, share, progress, should_stop)
            progress.elapsed_s = self.clock() - self.started
            if loss is None:  # not one step since the last report
                break
            _check(loss, progress, self.config)
            progress.eta_s = self._eta_s(progress, share)
            epoch = self._report(validation, progress, loss, speed, side)
            self._store(progress, epoch)
            if self.group.leads:
                on_epoch(epoch, progress)
            if stopped:
                break
        self.threads.end()
        return progress

    def _share(self, rows: int) -> int:
        """Images that each host sees in an epoch, the same number on all."""
        least = -self.group.most(-len(self.group.dealt(np.arange(rows))), self.device)
        if least < LEAST_OF_A_HOST:
            raise MalformedError(f"{rows} training rows are too few for {self.group.size} host(s)")
        return int(least)

    def _steps(self, share: int) -> int:
        return self._batches_in(share) * self.config.epochs

    def _batches_in(self, share: int) -> int:
        wanted = round(share * self.group.size / self.config.batch_size)
        return max(1, min(wanted, int(share) // LEAST_OF_A_HOST))

    def _done(self, progress: Progress, share: int) -> float:
        """How much of the training is over, 0 to 1, by steps or by time; agreed by all hosts."""
        by_time = (self.clock() - self.started) / self.budget_s
        done = max(progress.step / self._steps(share), by_time)
        return self.group.agree(min(1.0, done), self.device)

    def _ended(self, progress: Progress, share: int) -> bool:
        saturated = progress.best_recall >= SATURATED
        patience = SATURATED_PATIENCE if saturated else self.config.patience
        whole = bool(progress.history) and progress.history[-1].side == self.whole
        ended = whole and progress.epochs_since_best >= patience
        return self.group.any(ended, self.device) or self._done(progress, share) >= 1.0

    def _epoch(
        self,
        model: nn.Module,
        train: Part,
        share: int,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> tuple[float | None, float, int, bool]:
        """(mean loss, images a second, their side, whether to stop); ends where the time does."""
        begun, losses, stopped, epoch = self.clock(), [], False, len(progress.history)
        side = self.whole
        seed = self.config.seed * 1_000_003 + epoch
        torch.manual_seed(seed)  # dropout's; by epoch, so that a restarted job draws the same
        generator = torch.Generator().manual_seed(seed * 31 + self.group.rank)
        model.train()
        for rows in self._batches(len(train.codes), share, seed):
            stopped = self.group.any(should_stop(), self.device)
            done = self._done(progress, share)
            if stopped or done >= 1.0:
                break
            set_rates(self.optimizers, done, progress.step + 1, self._steps(share))
            self.threads.before()
            side = self._side(done)
            losses.append(self._step(model, train, rows, epoch, generator, side))
            self.threads.after()
            progress.step += 1
            self._average(progress.step)
        loss = float(torch.stack(losses).mean()) if losses else None
        images = share * self.group.size * len(losses) / self._batches_in(share)
        return loss, images / max(1e-9, self.clock() - begun), side, stopped

    def _batches(self, rows: int, share: int, seed: int) -> list[np.ndarray]:
        """Row numbers of each step: all rows once, dealt out to the hosts."""
        order = np.random.default_rng(seed).permutation(rows)
        mine = self.group.dealt(order)[:share]
        return np.array_split(mine, self._batches_in(share))

    def _side(self, done: float) -> int:
        """Of the images now: a network learns the coarse from small ones, at half the work."""
        return _small(self.whole) if done < self.config.small_share else self.whole

    def _eta_s(self, progress: Progress, share: int) -> float:
        """Seconds until the last step or the time's end; small images count as their area."""
        saved = 1 - (_small(self.whole) / self.whole) ** 2

        def work(done: float) -> float:
            return done - saved * min(done, self.config.small_share)

        left = work(1.0) / work(progress.step / self._steps(share)) - 1
        return max(0.0, min(left * progress.elapsed_s, self.budget_s - progress.elapsed_s))

    def _mirrored(self, rows: np.ndarray, epoch: int) -> Tensor:
        """Every other epoch: of all ways to mirror half of the images, none repeats itself less.

        Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.6.
        """
        return torch.from_numpy((self.sides[rows] + epoch) % 2 == 1)

    def _step(
        self,
        model: nn.Module,
        train: Part,
        rows: np.ndarray,
        epoch: int,
        generator: torch.Generator,
        side: int,
    ) -> Tensor:
        images = to_device(train.images[rows], self.device)
        codes = to_device(train.codes[rows], self.device)
        groups = to_device(train.groups_of(rows), self.device)
        views = augment(
            normalise(images), self._mirrored(rows, epoch), self.config.augment, generator, side
        )
        views = views.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            outputs = model(views)
        loss, total = self.objective(outputs, codes, groups)
        self.net.zero_grad(set_to_none=True)
        total.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Let the weights into their average, which spans a share of the training, however long.

        Karras et al., "Analyzing and improving the training dynamics of diffusion models", 2024,
        section 3.1; their gamma is 1 / ema_share - 1.
        """
        span = self.config.ema_share * step
        decay = span / (span + 1)
        ours = self.averaged.state_dict()
        for name, value in self.net.state_dict().items():
            if value.is_floating_point():
                ours[name].lerp_(value, 1 - decay)
            else:
                ours[name].copy_(value)

    def _report(
        self, validation: Part, progress: Progress, loss: float, speed: float, side: int
    ) -> Epoch:
        predicted = self.predict(validation.images, side) if self.group.leads else None
        accuracy = recall = 0.0
        if predicted is not None:
            accuracy = float((predicted == validation.codes).mean())
            recall = macro_recall(validation.codes, predicted)
        number = len(progress.history) + 1
        recall = self.group.agree(recall, self.device)
        return Epoch(number, loss, accuracy, recall, speed, progress.elapsed_s, side)

    @torch.no_grad()
    def predict(self, images: np.ndarray, side: int) -> np.ndarray:
        """Codes int64 [N] by the averaged weights, of images scaled to the side."""
        codes = []
        for start in range(0, len(images), BATCH):
            batch = to_device(images[start : start + BATCH], self.device)
            x = scaled(normalise(batch), side).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                codes.append(self.averaged(x).argmax(1).cpu().numpy())
        return np.concatenate(codes)

    def _fresh(self) -> Progress:
        return Progress(
            self.net.state_dict(),
            self.averaged.state_dict(),
            [optimizer.state_dict() for optimizer in self.optimizers],
            detached(self.averaged.state_dict()),
        )

    def _load(self, progress: Progress) -> None:
        self.net.load_state_dict(progress.weights)
        self.averaged.load_state_dict(progress.averaged)
        for optimizer, state in zip(self.optimizers, progress.optimizers, strict=True):
            optimizer.load_state_dict(state)

    def _store(self, progress: Progress, epoch: Epoch) -> None:
        progress.history.append(epoch)
        if progress.best_epoch is epoch:
            progress.best = detached(self.averaged.state_dict())
        progress.weights = self.net.state_dict()
        progress.averaged = self.averaged.state_dict()
        progress.optimizers = [optimizer.state_dict() for optimizer in self.optimizers]


def _small(side: int) -> int:
    return int(SMALL * side) // STRIDE * STRIDE


def _check(loss: float, progress: Progress, config: Hyperparameters) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} in epoch {len(progress.history) + 1}: the weights have diverged; "
            f"lower learning_rate ({config.learning_rate}) "
            f"or muon_learning_rate ({config.muon_learning_rate})"
        )

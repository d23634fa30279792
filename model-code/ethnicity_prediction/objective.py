"""What a step makes smaller: the loss on labels and, if wanted, on gender and age beside them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .config import Hyperparameters
from .groups import group_of

UNKNOWN = -1  # the code of a row that does not tell its group


class Objective:
    """Cross-entropy, logit-adjusted by the labels' shares, float [L]; `tasks` are auxiliary ones.

    Of each task it is the number of its classes. A network that must tell gender and age, too,
    learns sooner what faces are made of (Caruana, "Multitask learning", 1997).
    """

    def __init__(
        self,
        config: Hyperparameters,
        prior: np.ndarray,
        tasks: Sequence[int],
        device: torch.device,
    ) -> None:
        self.smoothing, self.weight = config.label_smoothing, config.auxiliary_weight
        self.adjustment = config.balance * torch.log(torch.as_tensor(prior).float()).to(device)
        self.columns = [len(prior), *tasks]

    def __call__(self, outputs: Tensor, codes: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """(loss on the labels alone, loss to be made smaller).

        Outputs float [N, L + classes of all tasks], codes int64 [N], groups int64 [N, tasks].
        """
        labels, *others = outputs.float().split(self.columns, dim=1)
        of_labels = functional.cross_entropy(
            labels + self.adjustment, codes, label_smoothing=self.smoothing
        )
        total = of_labels
        for logits, truth in zip(others, groups.unbind(1), strict=True):
            total = total + self.weight * self._of_known(logits, truth)
        return of_labels, total

    def _of_known(self, logits: Tensor, truth: Tensor) -> Tensor:
        """The mean over the rows that tell their group; 0 where none does."""
        losses = functional.cross_entropy(
            logits,
            truth,
            ignore_index=UNKNOWN,
            label_smoothing=self.smoothing,
            reduction="sum",
        )
        return losses / (truth != UNKNOWN).sum().clamp(min=1)


def classes_of(groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The groups that rows belong to, by kind; a kind that tells fewer than two is no task."""
    found = {kind: _known(kind, texts) for kind, texts in groups.items()}
    return {kind: sorted(names) for kind, names in sorted(found.items()) if len(names) > 1}


def _known(kind: str, texts: Sequence[str]) -> set[str]:
    return {group_of(kind, text) for text in texts} - {""}


def group_codes(
    groups: Mapping[str, Sequence[str]], classes: Mapping[str, Sequence[str]], rows: int
) -> np.ndarray:
    """Each row's place among the classes of each kind, int64 [rows, kinds]."""
    codes = np.full((rows, len(classes)), UNKNOWN, dtype=np.int64)
    for column, (kind, names) in enumerate(classes.items()):
        place = {name: i for i, name in enumerate(names)}
        codes[:, column] = [place.get(group_of(kind, text), UNKNOWN) for text in groups[kind]]
    return codes

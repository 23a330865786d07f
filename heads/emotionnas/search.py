"""The two-level learner of the search (eq. 3): in each step the architecture weights learn from a batch of the validation part, then
the network's weights from one of the training part. The test part is not looked at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emocache.errors import UsageError
from heads.config import HeadModule, Normalise, Optimiser, Schedule
from heads.data import Batch, Examples, Input
from heads.emotionnas.clipping import NormClipped, NormClipping
from heads.emotionnas.gradients import Ahead, Order, architecture_gradient
from heads.emotionnas.supernet import Supernet
from heads.learner import MOMENTUM

ALPHA_BETAS = (0.5, 0.999)
"""Of Adam on the architecture weights, as in DARTS's code."""


@dataclass(frozen=True, kw_only=True)
class Search(NormClipping):
    """The paper's values, and DARTS's code for what the paper does not print."""

    layers: int = 3
    """Cells one after the other: the paper's L."""
    channels: int = 6
    """Of the first cell: the paper's C."""
    order: Order = "first"
    """Of the gradient of the architecture weights, see `emotionnas.gradients`."""
    frames: int = 140
    """Rows that an utterance is brought to: means of more, and zeros after fewer."""
    optimiser: Optimiser = "sgd"
    lr: float = 0.025
    lr_end: float = 1e-3
    """What the learning rate comes down to over `epochs`, by half a cosine."""
    schedule: Schedule = "cosine"
    weight_decay: float = 3e-4
    alpha_lr: float = 3e-4
    """Learning rate of the architecture weights, by Adam."""
    alpha_decay: float = 1e-3
    """Weight decay of the architecture weights."""
    batch: int = 64
    epochs: int = 50
    patience: int = 50
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(2, 64, "layers")
        self.expect(2, 4096, "channels")
        self.expect(1, 100_000, "frames")
        self.expect(0, 1_000_000, "lr_end", "alpha_lr", "alpha_decay")
        if self.channels % 2:
            raise UsageError(f"channels is {self.channels}, expected an even number: a reduction makes each half of them by itself")
        if self.refit:
            raise UsageError("refit=true: the search learns from the validation part itself; leave it out")
        if self.optimiser != "sgd":
            raise UsageError(f"optimiser is {self.optimiser}; the search takes sgd, whose next step the second order looks at")
        if self.accumulate != 1:
            raise UsageError(f"accumulate is {self.accumulate}, expected 1: each step of the search is one of both kinds of weights")


class Searcher(NormClipped):
    """Learns network and architecture weights in turn."""

    _config: Search
    model: Supernet

    def __init__(
        self, head: HeadModule, config: Search, inputs: Sequence[Input], examples: Examples, pool: Tensor, weights: Tensor | None,
        classes: int, seeds: Sequence[int], validation: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(head, config, inputs, examples, pool, weights, classes, seeds, validation)
        self._architect = torch.optim.Adam(
            [self.model.alphas], lr=config.alpha_lr, betas=ALPHA_BETAS, weight_decay=config.alpha_decay
        )  # fmt: skip

    def epoch(self) -> list[float]:
        """One pass over the training part; the mean loss of its utterances."""
        assert self._validation is not None
        self.model.train()
        parts = torch.split(self._shuffled(self._pool), self._config.batch)
        total = torch.zeros(1, device=self._pool.device)
        validating = self._examples.batches(self._validating(len(parts)))
        for which, batch, other in zip(parts, self._examples.batches(parts), validating, strict=True):
            self._search(batch, other)
            losses = self._losses(batch)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            self._step()
            total += losses.detach() * len(which)
        self._schedule.step()
        return (total / len(self._pool)).tolist()

    def _validating(self, count: int) -> list[Tensor]:
        """`count` batches of the validation part in random order, which begins anew whenever all of it was there."""
        assert self._validation is not None
        batch = min(self._config.batch, len(self._validation))
        rounds = math.ceil(count * batch / len(self._validation))
        drawn = torch.cat([self._shuffled(self._validation) for _ in range(rounds)])
        return list(torch.split(drawn, batch))[:count]

    def _search(self, training: Batch, validation: Batch) -> None:
        """One update of the architecture weights."""
        alphas = self.model.alphas.requires_grad_()
        with self.model.untracked():
            alphas.grad = architecture_gradient(
                self._config.order, lambda: self._losses(training).sum(), lambda: self._losses(validation).sum(), alphas, self._ahead()
            )
        self._architect.step()
        alphas.grad = None
        alphas.requires_grad_(False)

    def _ahead(self) -> Ahead:
        """The step of the network's weights that comes next."""
        (group,) = self._optimiser.param_groups
        velocities = [self._optimiser.state[weight].get("momentum_buffer") for weight in group["params"]]
        return Ahead(group["params"], velocities, group["lr"], MOMENTUM, self._config.weight_decay)

    def _factor(self, epoch: int) -> float:
        """From 1 down to `lr_end` as a share of `lr`."""
        return self._config.lr_end / self._config.lr + (1 - self._config.lr_end / self._config.lr) * super()._factor(epoch)

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        """Both."""
        return [*super()._optimisers(), self._architect]

"""One run: a head trained on one fold with one seed, its epoch chosen on the validation part, its test part predicted once.

With `refit` it is then trained again, for as many epochs, on training and validation part together.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocache.errors import ProtocolError
from heads.blocks import LayerMix
from heads.config import HeadModule, Training
from heads.data import Examples, Input, moments

EVALUATION_BATCH = 128
"""Utterances per step where no gradient is kept."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the utterances of a fold lie among the examples, each int64 [utterances]."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean losses of one epoch; the training loss is taken while the weights move and with dropout."""

    train_loss: float
    validation_loss: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a run leaves: the curve, the epoch that was chosen (from 1), and the test part's probabilities."""

    curve: tuple[Epoch, ...]
    chosen: int
    probabilities: NDArray[np.float32]  # [test, classes]


def fit(
    head: HeadModule,
    config: Training,
    inputs: Sequence[Input],
    examples: Examples,
    parts: Parts,
    *,
    classes: int,
    seed: int,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> Fitted:
    """Train until `patience` epochs bring no lower validation loss, and predict the test part with the best epoch's weights.

    With `refit`, with the weights of a second training on all but the test part, for as many epochs.
    Deterministic for a seed on one machine; torch's global generator is left as it was. Raises ProtocolError when a loss
    is not finite.
    """
    device = examples.labels.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        learner = _Learner(head, config, inputs, examples, parts.train, classes, seed)
        curve: list[Epoch] = []
        chosen, best = 0, copy.deepcopy(learner.model.state_dict())
        while len(curve) < config.epochs and len(curve) - chosen < config.patience:
            train_loss = learner.epoch()
            epoch = Epoch(train_loss, evaluate(learner.model, examples, parts.validation)[0])
            curve.append(epoch)
            if not np.isfinite([epoch.train_loss, epoch.validation_loss]).all():
                raise ProtocolError(
                    f"the loss is {epoch.validation_loss} in epoch {len(curve)} (seed {seed}); "
                    f"lower the learning rate (--set lr={config.lr / 10:g}), or look for values that are not finite in the features"
                )
            if not chosen or epoch.validation_loss < curve[chosen - 1].validation_loss:
                chosen, best = len(curve), copy.deepcopy(learner.model.state_dict())
            on_epoch(len(curve), epoch)
        if config.refit:
            learner = _Learner(head, config, inputs, examples, torch.cat([parts.train, parts.validation]), classes, seed)
            for _ in range(chosen):
                learner.epoch()
        else:
            learner.model.load_state_dict(best)
        logits = evaluate(learner.model, examples, parts.test)[1]
    return Fitted(tuple(curve), chosen, logits.softmax(1).cpu().numpy())


class _Learner:
    """A head and its optimiser, begun from a seed, that learn from the utterances `train` an epoch at a time."""

    def __init__(
        self, head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, train: Tensor, classes: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.model = head.build(config, with_moments(config, inputs, examples, train), classes).to(train.device)
        self._config = config
        self._examples = examples
        self._train = train
        self._order = torch.Generator().manual_seed(seed)
        self._optimiser = torch.optim.Adam(_groups(self.model, config), lr=config.lr, weight_decay=config.weight_decay)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda epoch: lr_factor(config, epoch))

    def epoch(self) -> float:
        """One pass over the utterances in random order; the mean loss of an utterance."""
        loss = _train_epoch(self.model, self._optimiser, self._config, self._examples, self._train, self._order)
        self._schedule.step()
        return loss


def lr_factor(config: Training, epoch: int) -> float:
    """What the learning rate is multiplied by in an epoch (from 0)."""
    return 1.0 if config.schedule == "constant" else (1 + math.cos(math.pi * min(epoch, config.epochs) / config.epochs)) / 2


def _groups(model: nn.Module, config: Training) -> list[dict[str, Any]]:
    """The parameters, those of layer weights with their own learning rate."""
    mixes = [module.weight for module in model.modules() if isinstance(module, LayerMix)]
    others = [weight for weight in model.parameters() if not any(weight is mix for mix in mixes)]
    return [{"params": others}] + ([{"params": mixes, "lr": config.lr * config.layer_lr}] if mixes else [])


def with_moments(config: Training, inputs: Sequence[Input], examples: Examples, train: Tensor) -> list[Input]:
    """The inputs with the statistics of the training part alone, where the configuration standardises them."""
    pairs = zip(inputs, examples.inputs, strict=True)
    return [replace(one, moments=moments(packed, train)) if _standardised(config, one) else one for one, packed in pairs]


def _standardised(config: Training, one: Input) -> bool:
    """Whether an input is standardised: every one, those made from sound, or none."""
    return config.normalise == "global" or (config.normalise == "speech" and not one.text)


def _train_epoch(
    model: nn.Module, optimiser: torch.optim.Optimizer, config: Training, examples: Examples, train: Tensor, order: torch.Generator
) -> float:
    """One pass over the training part in random order; the mean loss of an utterance."""
    model.train()
    total = torch.zeros((), device=train.device)
    shuffled = train[torch.randperm(len(train), generator=order).to(train.device)]
    for which in torch.split(shuffled, config.batch):
        loss = torch.stack(list(model(examples.batch(which)).losses.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip:
            nn.utils.clip_grad_value_(model.parameters(), config.clip)
        optimiser.step()
        total += loss.detach() * len(which)
    return float(total) / len(train)


@torch.no_grad()
def evaluate(model: nn.Module, examples: Examples, which: Tensor) -> tuple[float, Tensor]:
    """Mean loss of an utterance, and logits [utterances, classes] in the order of `which`."""
    model.eval()
    total = torch.zeros((), device=which.device)
    logits = []
    for part in torch.split(which, EVALUATION_BATCH):
        output = model(examples.batch(part))
        total += torch.stack(list(output.losses.values())).sum() * len(part)
        logits.append(output.logits)
    return float(total) / len(which), torch.cat(logits)

"""One fold: a head trained with several seeds, each choosing its epoch on its own validation part, the test part predicted once.

The seeds are trained together where the head can: their parameters are stacked, a batch is read, standardised and, with
one layer, multiplied once for all. So batches are of the fold and not of the seed: an epoch goes through the utterances of the
training folds in one random order, and those that a seed validates on have the weight 0 for it. A seed gets what it
gets alone. With `refit` it is then trained again, for as many epochs as it chose, on training and validation part.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from emocache.errors import ProtocolError
from heads.blocks import LayerMix, ReluDropout, stack
from heads.config import HeadModule, Training
from heads.data import Batch, Examples, Input, Mapped, PackedTensor, free_bytes, frozen, moments
from heads.metrics import confusion, ua
from heads.splits import VALIDATION_SHARE

EVALUATION_BATCH = 128
"""Utterances per step where no gradient is kept."""
ORDER_SEED = 0
"""Begins the order of utterances in every fold, whatever the run's own seed."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Weights = dict[str, Tensor]
"""The parameters of one run by name."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the utterances of one seed's parts lie among the examples, each int64 [utterances].

    `pool` holds what batches are made of: the training folds, thus the training part and the validation part if that was
    taken out of them.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    pool: Tensor

    @property
    def learnt(self) -> Tensor:
        """The pool, and whoever validates without being in it."""
        return torch.cat([self.pool, self.validation[~torch.isin(self.validation, self.pool)]])


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean losses of one epoch, and its UA in 0..1; the training loss is taken while the weights move and with dropout."""

    train_loss: float
    validation_loss: float
    validation_ua: float


@dataclass(frozen=True, slots=True)
class Learnt:
    """How a run went on its training and validation part: the curve, and the epoch that was chosen (from 1)."""

    curve: tuple[Epoch, ...]
    chosen: int


OnEpoch = Callable[[int, int, Epoch], None]
"""Is told of every epoch: the seed, its number (from 1), and what it came to."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a run leaves: the curve, the epoch that was chosen (from 1), and what it says of the test part.

    probabilities [test, classes], embeddings [test, width] (float16) or None; weights of the chosen epoch (`best`; with `refit`
    those of the second training) and of the last one.
    """

    curve: tuple[Epoch, ...]
    chosen: int
    probabilities: NDArray[np.float32]
    embeddings: NDArray[np.float16] | None
    best: Weights
    last: Weights


def fit(
    head: HeadModule,
    config: Training,
    inputs: Sequence[Input],
    examples: Examples,
    parts: Sequence[Parts],
    *,
    classes: int,
    seeds: Sequence[int],
    on_epoch: OnEpoch = lambda seed, number, epoch: None,
) -> list[Fitted]:
    """Train each seed until `patience` epochs bring no lower validation loss, and predict the test part with its best epoch's weights.

    `parts` are those of each seed, with one pool and one test part. Deterministic for a seed on one machine, and the same whichever
    seeds are beside it but for rounding; torch's global generator is left as it was. Raises ProtocolError when a loss is
    not finite.
    """
    first = parts[0]
    with _own_generator(examples):
        inputs, examples = for_fold(head, config, inputs, examples, first.pool)
        learner, runs = _learn(head, config, inputs, examples, parts, classes, seeds, on_epoch)
        if config.refit:
            _refit(_Learner(head, config, inputs, examples, first.learnt, None, classes, seeds), runs, config)
        learner.load([run.best for run in runs])
        return [_fitted(run, *learner.predict(first.test, i)) for i, run in enumerate(runs)]


def learn(
    head: HeadModule,
    config: Training,
    inputs: Sequence[Input],
    examples: Examples,
    parts: Sequence[Parts],
    *,
    classes: int,
    seeds: Sequence[int],
    on_epoch: OnEpoch = lambda seed, number, epoch: None,
) -> list[Learnt]:
    """As `fit` chooses the epoch of each seed, and no more: the test part is not looked at."""
    with _own_generator(examples):
        inputs, examples = for_fold(head, config, inputs, examples, parts[0].pool)
        _, runs = _learn(head, config, inputs, examples, parts, classes, seeds, on_epoch)
        return [Learnt(tuple(run.curve), run.chosen) for run in runs]


def _own_generator(examples: Examples) -> contextlib.AbstractContextManager[None]:
    """Leaves torch's global generator as it was."""
    device = examples.labels.device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _learn(
    head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, parts: Sequence[Parts], classes: int,
    seeds: Sequence[int], on_epoch: OnEpoch,
) -> "tuple[_Learner, list[_Run]]":  # fmt: skip
    """Train until every seed has stopped."""
    learner = _Learner(head, config, inputs, examples, parts[0].pool, _weights(parts, examples), classes, seeds)
    runs = [_Run(seed, learner.weights_of(i)) for i, seed in enumerate(seeds)]
    while going := [run for run in runs if len(run.curve) < config.epochs and len(run.curve) - run.chosen < config.patience]:
        learner.keep([run.seed for run in going])
        for i, (run, train_loss) in enumerate(zip(going, learner.epoch(), strict=True)):
            which = parts[seeds.index(run.seed)].validation
            loss, logits = learner.evaluate(which, i)
            epoch = Epoch(train_loss, loss, _ua(examples.labels[which], logits))
            run.add(epoch, lambda i=i: learner.weights_of(i), config)  # type: ignore[misc]
            on_epoch(run.seed, len(run.curve), epoch)
    return learner, runs


def _ua(labels: Tensor, logits: Tensor) -> float:
    """UA of logits [utterances, classes]."""
    return float(ua(confusion(labels.cpu().numpy(), logits.argmax(1).cpu().numpy(), logits.shape[1])))


@dataclass
class _Run:
    """One seed on its way."""

    seed: int
    best: Weights
    last: Weights | None = None
    chosen: int = 0

    def __post_init__(self) -> None:
        self.curve: list[Epoch] = []

    def add(self, epoch: Epoch, weights: Callable[[], Weights], config: Training) -> None:
        """One more epoch; ProtocolError when its losses are not finite."""
        self.curve.append(epoch)
        for loss in (epoch.train_loss, epoch.validation_loss):
            _check_finite(loss, f"in epoch {len(self.curve)} (seed {self.seed})", config)
        self.last = weights()
        if not self.chosen or epoch.validation_loss < self.curve[self.chosen - 1].validation_loss:
            self.chosen, self.best = len(self.curve), self.last


def _check_finite(loss: float, where: str, config: Training) -> None:
    """ProtocolError for a loss that is none."""
    if not math.isfinite(loss):
        raise ProtocolError(
            f"the loss is {loss} {where}; "
            f"lower the learning rate (--set lr={config.lr / 10:g}), or look for values that are not finite in the features"
        )


def _refit(learner: "_Learner", runs: Sequence[_Run], config: Training) -> None:
    """Train every run again, on all that is not tested, for as many epochs as it chose."""
    for number in range(1, max(run.chosen for run in runs) + 1):
        going = [run for run in runs if run.chosen >= number]
        learner.keep([run.seed for run in going])
        for i, (run, loss) in enumerate(zip(going, learner.epoch(), strict=True)):
            _check_finite(loss, f"in epoch {number} of the second training (seed {run.seed})", config)
            if run.chosen == number:
                run.best = run.last = learner.weights_of(i)


def _fitted(run: _Run, logits: Tensor, embeddings: Tensor | None) -> Fitted:
    """What a run leaves."""
    half = None if embeddings is None else embeddings.half().cpu().numpy()
    probabilities = logits.float().softmax(1).cpu().numpy()
    if broken := int((~np.isfinite(probabilities)).any(1).sum()):
        raise ProtocolError(
            f"{broken} of {len(probabilities)} tested utterances are given a probability that is not finite (seed {run.seed}); "
            "lower the learning rate, or look for values that are not finite in the features"
        )
    return Fitted(tuple(run.curve), run.chosen, probabilities, half, run.best, run.last or run.best)


def _weights(parts: Sequence[Parts], examples: Examples) -> Tensor:
    """Which utterances each seed learns from: float32 [seeds, utterances], 1 or 0."""
    weights = torch.zeros(len(parts), len(examples.labels), device=examples.labels.device)
    for row, one in zip(weights, parts, strict=True):
        row[one.train] = 1
    return weights


def for_fold(head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, pool: Tensor) -> tuple[list[Input], Examples]:
    """Inputs with the statistics of the training folds, and examples in which what depends on the fold alone is done.

    The latter for single layers, where the head says that it `freezes` and a copy takes no more than half of the free memory.
    """
    made: list[Input] = []
    values: list[PackedTensor | Mapped] = []
    for one, packed in zip(inputs, examples.inputs, strict=True):
        found = moments(packed, pool) if _standardised(config, one) else None
        dtype = DTYPES[config.precision]
        fits = isinstance(packed, PackedTensor) and packed.values.numel() * dtype.itemsize < free_bytes(pool.device) / 2
        if head.NEEDS.freezes and len(one.layers) == 1 and fits and isinstance(packed, PackedTensor):
            made.append(replace(one, moments=found, frozen=True))
            values.append(frozen(packed, found, dtype))
        else:
            made.append(replace(one, moments=found))
            values.append(packed)
    return made, replace(examples, inputs=tuple(values))


def _standardised(config: Training, one: Input) -> bool:
    """Whether an input is standardised: every one, those made from sound, or none."""
    return config.normalise == "global" or (config.normalise == "speech" and not one.text)


class _Learner:
    """A head and its optimiser for several seeds, that learn from the utterances `pool` an epoch at a time.

    `weights` [seeds, utterances] say who learns from what (None: everyone from all).
    """

    def __init__(
        self, head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, pool: Tensor, weights: Tensor | None,
        classes: int, seeds: Sequence[int],
    ) -> None:  # fmt: skip
        built = []
        for seed in seeds:
            torch.manual_seed(seed)
            built.append(head.build(config, inputs, classes))
        self.model = stack(built).to(pool.device)
        self._seeds = list(seeds)
        self._generators = [torch.Generator(pool.device).manual_seed(seed) for seed in seeds]
        self._config = config
        self._examples = examples
        self._pool = pool
        self._weights = weights
        held_out = weights is not None and not bool(weights[:, pool].all())
        self._batch = step_size(config, held_out=held_out)
        self._order = torch.Generator().manual_seed(ORDER_SEED)
        self._optimiser = torch.optim.Adam(_groups(self.model, config), lr=config.lr, weight_decay=config.weight_decay)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda epoch: lr_factor(config, epoch))
        self._hand_out()

    def epoch(self) -> list[float]:
        """One pass over the pool in random order; for each run the mean loss of an utterance that it learns from."""
        self.model.train()
        total = torch.zeros(len(self._seeds), device=self._pool.device)
        shuffled = self._pool[torch.randperm(len(self._pool), generator=self._order).to(self._pool.device)]
        parts = torch.split(shuffled, self._batch)
        for number, (which, batch) in enumerate(zip(parts, self._examples.batches(parts), strict=True), start=1):
            weights = None if self._weights is None else self._weights[:, which]
            losses = self._losses(replace(batch, weights=weights))
            (losses.sum() / self._config.accumulate).backward()  # type: ignore[no-untyped-call]
            if number % self._config.accumulate == 0 or number == len(parts):
                self._step()
            total += losses.detach() * (len(which) if weights is None else weights.sum(1))
        self._schedule.step()
        learnt = len(self._pool) if self._weights is None else self._weights.sum(1)
        return (total / learnt).tolist()

    @torch.no_grad()
    def evaluate(self, which: Tensor, run: int) -> tuple[float, Tensor]:
        """Mean loss of an utterance, and logits [utterances, classes] in the order of `which`, of one run."""
        total, logits = 0.0, []
        for batch, output in self._outputs(which, run):
            total += float(torch.stack(list(output.losses.values())).sum()) * len(batch.labels)
            logits.append(output.logits[0])
        return total / len(which), torch.cat(logits)

    @torch.no_grad()
    def predict(self, which: Tensor, run: int) -> tuple[Tensor, Tensor | None]:
        """Logits [utterances, classes] and embeddings [utterances, width] of one run."""
        found = [output for _, output in self._outputs(which, run)]
        embeddings = [output.embedding[0] for output in found if output.embedding is not None]
        return torch.cat([output.logits[0] for output in found]), torch.cat(embeddings) if embeddings else None

    def weights_of(self, run: int) -> Weights:
        """A copy of one run's parameters."""
        return {name: weight.detach()[run : run + 1].clone() for name, weight in self.model.named_parameters()}

    def load(self, weights: Sequence[Weights]) -> None:
        """Take these weights, as many runs as there are."""
        for name, parameter in self.model.named_parameters():
            parameter.data = torch.cat([one[name] for one in weights])

    def keep(self, seeds: Sequence[int]) -> None:
        """Go on with these seeds alone, in this order."""
        if list(seeds) == self._seeds:
            return
        rows = torch.tensor([self._seeds.index(seed) for seed in seeds], device=self._pool.device)
        for parameter in self.model.parameters():
            parameter.data, parameter.grad = parameter.data[rows], None
            state = self._optimiser.state[parameter]
            state.update({name: value[rows] for name, value in state.items() if value.ndim})
        self._weights = None if self._weights is None else self._weights[rows]
        self._generators = [self._generators[row] for row in rows.tolist()]
        self._seeds = list(seeds)
        self._hand_out()

    def _hand_out(self) -> None:
        """Every run draws from its own generator, whoever is beside it."""
        for module in self.model.modules():
            if isinstance(module, ReluDropout):
                module.generators = self._generators

    def _losses(self, batch: Batch) -> Tensor:
        """The sum of each run's losses [runs]."""
        with self._computing():
            return torch.stack(list(self.model(batch).losses.values())).sum(0)

    def _step(self) -> None:
        """One update."""
        if self._config.clip:
            nn.utils.clip_grad_value_(self.model.parameters(), self._config.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

    def _outputs(self, which: Tensor, run: int) -> Iterator[tuple[Batch, Any]]:
        """What one run says of some utterances, batch by batch."""
        self.model.eval()
        weights = {name: weight[run : run + 1] for name, weight in self.model.named_parameters()}
        parts = torch.split(which, EVALUATION_BATCH)
        for batch in self._examples.batches(parts):
            with self._computing():
                yield batch, functional_call(self.model, weights, (batch,))

    def _computing(self) -> contextlib.AbstractContextManager[Any]:
        """The precision that is asked for."""
        dtype = DTYPES[self._config.precision]
        return torch.autocast(self._pool.device.type, dtype, enabled=dtype is not torch.float32)


def step_size(config: Training, *, held_out: bool) -> int:
    """Utterances of a step: more than `batch` where some are `held_out` for validation, so that a run learns from about `batch`."""
    return max(1, round(config.batch / (1 - VALIDATION_SHARE))) if held_out else config.batch


def lr_factor(config: Training, epoch: int) -> float:
    """What the learning rate is multiplied by in an epoch (from 0)."""
    return 1.0 if config.schedule == "constant" else (1 + math.cos(math.pi * min(epoch, config.epochs) / config.epochs)) / 2


def _groups(model: nn.Module, config: Training) -> list[dict[str, Any]]:
    """The parameters, those of layer weights with their own learning rate."""
    mixes = [module.weight for module in model.modules() if isinstance(module, LayerMix)]
    others = [weight for weight in model.parameters() if not any(weight is mix for mix in mixes)]
    return [{"params": others}] + ([{"params": mixes, "lr": config.lr * config.layer_lr}] if mixes else [])

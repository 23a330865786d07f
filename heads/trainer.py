"""One fold: a head trained with several seeds, each choosing its epoch on its own validation part, the test part predicted once.

The seeds are trained together where the head can: their parameters are stacked, a batch is read, standardised and, with
one layer, multiplied once for all. So batches are of the fold and not of the seed: an epoch goes through the utterances of the
training folds in one random order, and those that a seed validates on have the weight 0 for it. A seed gets what it
gets alone. Any other head is trained with one seed, on batches of that seed's training part alone. With `refit` it is then
trained again, for as many epochs as it chose, on training and validation part.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache.errors import ProtocolError
from heads.begun import Begun, of, under
from heads.config import HeadModule, Training
from heads.data import Examples, Input, Mapped, PackedTensor, frozen
from heads.learner import DTYPES, Learner, Weights, learner_of
from heads.memory import free_bytes
from heads.metrics import confusion, ua
from heads.statistics import Statistics


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


ADVICE = "lower the learning rate (--set lr={:g}), or look for values that are not finite in the features"
"""What to do about numbers that are not finite, with a tenth of the learning rate."""
OnEpoch = Callable[[int, int, Epoch], None]
"""Is told of every epoch: the seed, its number (from 1), and what it came to."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run says of a part that it learnt from, in the order of the fold: probabilities [utterances, classes], labels."""

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a run leaves: the curve, the epoch that was chosen (from 1), and what it says of the test part.

    probabilities [test, classes], embeddings [test, width] (float16) or None; weights of the chosen epoch (`best`; with `refit`
    those of the second training) and of the last one; the latter are empty with `kept` "best". `said` is the same of the parts
    `train` and `validation`, of a head that is fused.
    """

    curve: tuple[Epoch, ...]
    chosen: int
    probabilities: NDArray[np.float32]
    embeddings: NDArray[np.float16] | None
    best: Weights
    last: Weights
    said: Mapping[str, Said] = field(default_factory=dict)


class Diverged(ProtocolError):
    """The numbers of some seeds ceased to be finite; `finished` holds, by seed, what the others that were trained with them left."""

    def __init__(self, runs: "Sequence[_Run]", finished: Mapping[int, Fitted]) -> None:
        """At least one broken run."""
        others = f" (and seeds {', '.join(str(run.seed) for run in runs[1:])} likewise)" if runs[1:] else ""
        super().__init__(f"{runs[0].broken}{others}")
        self.finished = finished


def fit(
    head: HeadModule,
    config: Training,
    inputs: Sequence[Input],
    examples: Examples,
    parts: Sequence[Parts],
    *,
    classes: int,
    seeds: Sequence[int],
    statistics: Statistics | None = None,
    on_epoch: OnEpoch = lambda seed, number, epoch: None,
    begun: Begun | None = None,
) -> list[Fitted]:
    """Train each seed until `patience` epochs bring no lower validation loss, and predict the test part with its best epoch's weights.

    `parts` are those of each seed, with one pool and one test part. Deterministic for a seed on one machine, and the same whichever
    seeds are beside it but for rounding; torch's global generator is left as it was. `statistics` are those of `inputs`, where
    several folds share them; `begun` is where an unfinished run of a head that does not stack is kept. Raises Diverged when a loss
    is not finite, once the other seeds are done.
    """
    first = parts[0]
    with _own_generator(examples):
        inputs, examples = for_fold(head, config, inputs, examples, first.pool, statistics)
        learner, runs = _learn(head, config, inputs, examples, parts, classes, seeds, on_epoch, begun)
        if config.refit:
            _refit(learner_of(head)(head, config, inputs, examples, first.learnt, None, classes, seeds), runs, config)
        finished = _answers(learner, [run for run in runs if not run.broken], first.test, config)
        if head.NEEDS.fuses:
            finished = {seed: replace(one, said=_said(learner, examples, first)) for seed, one in finished.items()}
    if broken := [run for run in runs if run.broken]:
        raise Diverged(broken, finished)
    return list(finished.values())


def learn(
    head: HeadModule,
    config: Training,
    inputs: Sequence[Input],
    examples: Examples,
    parts: Sequence[Parts],
    *,
    classes: int,
    seeds: Sequence[int],
    statistics: Statistics | None = None,
    on_epoch: OnEpoch = lambda seed, number, epoch: None,
) -> list[Learnt]:
    """As `fit` chooses the epoch of each seed, and no more: the test part is not looked at."""
    with _own_generator(examples):
        inputs, examples = for_fold(head, config, inputs, examples, parts[0].pool, statistics)
        _, runs = _learn(head, config, inputs, examples, parts, classes, seeds, on_epoch)
    if broken := [run for run in runs if run.broken]:
        raise Diverged(broken, {})
    return [Learnt(tuple(run.curve), run.chosen) for run in runs]


def _own_generator(examples: Examples) -> contextlib.AbstractContextManager[None]:
    """Leaves torch's global generator as it was."""
    device = examples.labels.device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _learn(
    head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, parts: Sequence[Parts], classes: int,
    seeds: Sequence[int], on_epoch: OnEpoch, begun: Begun | None = None,
) -> "tuple[Learner, list[_Run]]":  # fmt: skip
    """Train until every seed has stopped."""
    pool, weights = (parts[0].pool, _weights(parts, examples)) if head.NEEDS.stacks else (parts[0].train, None)
    learner = learner_of(head)(head, config, inputs, examples, pool, weights, classes, seeds, parts[0].validation)
    runs = [_Run(seed, learner.weights_of(i), {}) for i, seed in enumerate(seeds)]
    if begun and (kept := begun.load()):
        _go_on(learner, runs[0], *kept)
    while going := [run for run in runs if run.goes_on(config)]:
        learner.keep([run.seed for run in going])
        for i, (run, train_loss) in enumerate(zip(going, learner.epoch(), strict=True)):
            which = parts[seeds.index(run.seed)].validation
            loss, logits = learner.evaluate(which, i)
            epoch = Epoch(train_loss, loss, _ua(examples.labels[which], logits))
            run.add(epoch, lambda i=i: learner.weights_of(i), config)  # type: ignore[misc]
            if not run.broken:
                on_epoch(run.seed, len(run.curve), epoch)
            if begun and not run.broken:
                _keep(begun, learner, run)
    return learner, runs


def _keep(begun: Begun, learner: Learner, run: "_Run") -> None:
    """What it takes to go on after this epoch."""
    tensors = under("learner", learner.state()) | under("best", run.best) | under("last", run.last)
    begun.save(tensors, {"chosen": run.chosen, "curve": [asdict(epoch) for epoch in run.curve]})


def _go_on(learner: Learner, run: "_Run", tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """From where a run was left."""
    learner.restore(of("learner", tensors))
    run.chosen, run.best, run.last = about["chosen"], of("best", tensors), of("last", tensors)
    run.curve.extend(Epoch(**epoch) for epoch in about["curve"])


def _ua(labels: Tensor, logits: Tensor) -> float:
    """UA of logits [utterances, classes]."""
    return float(ua(confusion(labels.cpu().numpy(), logits.argmax(1).cpu().numpy(), logits.shape[1])))


@dataclass
class _Run:
    """One seed on its way; `broken` says what was not finite."""

    seed: int
    best: Weights
    last: Weights
    chosen: int = 0
    broken: str = ""

    def __post_init__(self) -> None:
        self.curve: list[Epoch] = []

    def goes_on(self, config: Training) -> bool:
        """Whether another epoch is due."""
        patient = config.tested == "last" or len(self.curve) - self.chosen < config.patience
        return not self.broken and patient and len(self.curve) < config.epochs

    def add(self, epoch: Epoch, weights: Callable[[], Weights], config: Training) -> None:
        """One more epoch; the last one where its losses are not finite."""
        self.curve.append(epoch)
        for loss in (epoch.train_loss, epoch.validation_loss):
            self.check(loss, f"in epoch {len(self.curve)}", config)
        if self.broken:
            return
        lower = not self.chosen or epoch.validation_loss < self.curve[self.chosen - 1].validation_loss
        chosen = lower or config.tested == "last"
        found = weights() if chosen or config.kept == "best+last" else {}
        if chosen:
            self.chosen, self.best = len(self.curve), found
        self.last = found if config.kept == "best+last" else {}

    def check(self, loss: float, where: str, config: Training) -> None:
        """Broken by a loss that is not finite."""
        if not math.isfinite(loss):
            self.broken = f"the loss is {loss} {where} (seed {self.seed}); {ADVICE.format(config.lr / 10)}"


def _refit(learner: Learner, runs: Sequence[_Run], config: Training) -> None:
    """Train every run again, on all that is not tested, for as many epochs as it chose."""
    number = 1
    while going := [run for run in runs if run.chosen >= number and not run.broken]:
        learner.keep([run.seed for run in going])
        for i, (run, loss) in enumerate(zip(going, learner.epoch(), strict=True)):
            run.check(loss, f"in epoch {number} of the second training", config)
            if run.chosen == number:
                run.best = learner.weights_of(i)
                run.last = run.best if config.kept == "best+last" else {}
        number += 1


def _answers(learner: Learner, runs: Sequence[_Run], test: Tensor, config: Training) -> dict[int, Fitted]:
    """What runs leave, by seed; a run that gives a probability which is not finite is broken, and not there."""
    if runs:
        learner.load([run.best for run in runs])
    found = {run.seed: _fitted(run, *learner.predict(test, i)) for i, run in enumerate(runs)}
    for run in runs:
        if bad := int((~np.isfinite(found[run.seed].probabilities)).any(1).sum()):
            where = f"{bad} of {len(test)} tested utterances are given a probability that is not finite"
            run.broken = f"{where} (seed {run.seed}); {ADVICE.format(config.lr / 10)}"
    return {run.seed: found[run.seed] for run in runs if not run.broken}


def _fitted(run: _Run, logits: Tensor, embeddings: Tensor | None) -> Fitted:
    """What a run leaves."""
    half = None if embeddings is None else embeddings.half().cpu().numpy()
    return Fitted(tuple(run.curve), run.chosen, logits.float().softmax(1).cpu().numpy(), half, run.best, run.last)


def _said(learner: Learner, examples: Examples, parts: Parts) -> dict[str, Said]:
    """What a head that does not stack says of what it learnt from."""
    found = {}
    for name, which in (("train", parts.train), ("validation", parts.validation)):
        shares = learner.evaluate(which, 0)[1].float().softmax(1)
        found[name] = Said(shares.cpu().numpy(), examples.labels[which].cpu().numpy())
    return found


def _weights(parts: Sequence[Parts], examples: Examples) -> Tensor:
    """Which utterances each seed learns from: float32 [seeds, utterances], 1 or 0."""
    weights = torch.zeros(len(parts), len(examples.labels), device=examples.labels.device)
    for row, one in zip(weights, parts, strict=True):
        row[one.train] = 1
    return weights


def for_fold(
    head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, pool: Tensor, statistics: Statistics | None = None
) -> tuple[list[Input], Examples]:
    """Inputs with the statistics of the training folds, and examples in which what depends on the fold alone is done.

    The latter for single layers, where the head says that it `freezes` and a copy takes no more than half of the free memory.
    """
    made: list[Input] = []
    values: list[PackedTensor | Mapped] = []
    statistics = statistics or Statistics(examples.inputs, [pool])
    for number, (one, packed) in enumerate(zip(inputs, examples.inputs, strict=True)):
        found = statistics.of(number, pool) if _standardised(config, one) else None
        dtype = DTYPES[config.precision]
        fits = isinstance(packed, PackedTensor) and packed.values.numel() * dtype.itemsize < free_bytes(pool.device) / 2
        if head.NEEDS.freezes and number not in examples.tested and len(one.layers) == 1 and fits and isinstance(packed, PackedTensor):
            made.append(replace(one, moments=found, frozen=True))
            values.append(frozen(packed, found, dtype))
        else:
            made.append(replace(one, moments=found))
            values.append(packed)
    return made, replace(examples, inputs=tuple(values))


def _standardised(config: Training, one: Input) -> bool:
    """Whether an input is standardised: every one, those made from sound, or none."""
    return config.normalise == "global" or (config.normalise == "speech" and not one.text)

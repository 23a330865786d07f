"""Several seeds of a head that learn at once from the utterances of a fold: stacked parameters, one optimiser, an epoch at a time.

A head that does not stack learns with one seed, as any module: its parameters, and buffers such as running means, are what they are.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from heads import begun
from heads.blocks import LayerMix, ReluDropout, stack
from heads.config import HeadModule, Training
from heads.data import Batch, Examples, Input
from heads.splits import VALIDATION_SHARE

EVALUATION_BATCH = 128
"""Utterances per step where no gradient is kept, for heads that stack; others take as many as in a batch."""
WINDOW = 32
"""Batches of a shuffled epoch whose utterances are sorted by length, for heads that pad."""
ORDER_SEED = 0
"""Begins the order of utterances in every fold, whatever the run's own seed, for heads that stack; others begin with their seed."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Weights = dict[str, Tensor]
"""The parameters of one run by name; for a head that does not stack its buffers too."""
MOMENTUM = 0.9
OPTIMISERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": partial(torch.optim.SGD, momentum=MOMENTUM),
}  # fmt: skip


class Learner:
    """A head and its optimiser for several seeds, that learn from the utterances `pool` an epoch at a time.

    `weights` [seeds, utterances] say who learns from what (None: everyone from all); only heads that stack have them. `validation`
    are the utterances that validate, for a head whose own learner learns something from them too.
    """

    def __init__(
        self, head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, pool: Tensor, weights: Tensor | None,
        classes: int, seeds: Sequence[int], validation: Tensor | None = None,
    ) -> None:  # fmt: skip
        built = []
        for seed in seeds:
            torch.manual_seed(seed)
            built.append(head.build(config, inputs, classes))
        self.model = (stack(built) if head.NEEDS.stacks else built[0]).to(pool.device)
        self._needs = head.NEEDS
        self._seeds = list(seeds)
        self._generators = [torch.Generator(pool.device).manual_seed(seed) for seed in seeds]
        self._config = config
        self._examples = examples
        self._pool = pool
        self._validation = validation
        self._weights = weights
        held_out = weights is not None and not bool(weights[:, pool].all())
        self._batch = step_size(config, held_out=held_out)
        self._order = torch.Generator().manual_seed(ORDER_SEED if head.NEEDS.stacks else seeds[0])
        self._draw = torch.Generator().manual_seed(seeds[0]) if config.draws_views else None
        self._optimiser = OPTIMISERS[config.optimiser](_groups(self.model, config), lr=config.lr, weight_decay=config.weight_decay)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._factor)
        self._hand_out()

    def epoch(self) -> list[float]:
        """One pass over the pool in random order; for each run the mean loss of an utterance that it learns from."""
        self.model.train()
        total = torch.zeros(len(self._seeds), device=self._pool.device)
        parts = self._parts(self._shuffled(self._pool))
        for number, (which, batch) in enumerate(zip(parts, self._examples.batches(parts, self._draw), strict=True), start=1):
            weights = None if self._weights is None else self._weights[:, which]
            losses = self._losses(replace(batch, weights=weights))
            together = self._config.accumulate
            begun = (number - 1) // together * together
            (losses.sum() / min(together, len(parts) - begun)).backward()  # type: ignore[no-untyped-call]
            if number == min(begun + together, len(parts)):
                self._step()
            total += losses.detach() * (len(which) if weights is None else weights.sum(1))
        self._schedule.step()
        learnt = len(self._pool) if self._weights is None else self._weights.sum(1)
        return (total / learnt).tolist()

    def _shuffled(self, which: Tensor) -> Tensor:
        """Utterances in random order."""
        return which[torch.randperm(len(which), generator=self._order).to(which.device)]

    def _parts(self, shuffled: Tensor) -> Sequence[Tensor]:
        """The batches of an epoch."""
        if self._needs.buckets:
            return bucketed(shuffled, self._examples.lengths, self._batch, self._order)
        return torch.split(shuffled, self._batch)

    def _by_length(self, which: Tensor) -> Tensor:
        """The order that sorts utterances by their rows in all inputs."""
        return self._examples.lengths[which].argsort(stable=True)

    @torch.no_grad()
    def evaluate(self, which: Tensor, run: int) -> tuple[float, Tensor]:
        """Mean loss of an utterance, and logits [utterances, classes] in the order of `which`, of one run."""
        order = self._evaluated(which)
        total, logits = 0.0, []
        for batch, output in self._outputs(self._examples, which[order], run):
            total += float(torch.stack(list(output.losses.values())).sum()) * len(batch.labels)
            logits.append(output.logits[0])
        return total / len(which), torch.cat(logits)[order.argsort()]

    @torch.no_grad()
    def predict(self, which: Tensor, run: int) -> tuple[Tensor, Tensor | None]:
        """Logits [utterances, classes] and embeddings [utterances, width] of one run, in the order of `which`, as they are tested."""
        order = self._evaluated(which)
        back = order.argsort()
        found = [output for _, output in self._outputs(self._examples.as_tested(), which[order], run)]
        embeddings = [output.embedding[0] for output in found if output.embedding is not None]
        return torch.cat([output.logits[0] for output in found])[back], torch.cat(embeddings)[back] if embeddings else None

    def _evaluated(self, which: Tensor) -> Tensor:
        """The order in which utterances are evaluated, which no answer depends on."""
        return self._by_length(which) if self._needs.buckets else torch.arange(len(which), device=which.device)

    def weights_of(self, run: int) -> Weights:
        """A copy of what one run has learnt."""
        if not self._needs.stacks:
            return {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        return {name: weight.detach()[run : run + 1].clone() for name, weight in self.model.named_parameters()}

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epochs depend on, for a head that does not stack."""
        found = begun.under("model", self.model.state_dict())
        for number, optimiser in enumerate(self._optimisers()):
            for at, each in optimiser.state_dict()["state"].items():
                found |= begun.under(f"optimiser{number}/{at}", {name: one for name, one in each.items() if one is not None})
        found |= {"epoch": torch.tensor(self._schedule.last_epoch), "random": torch.get_rng_state()}
        found |= {f"generator{number}": one.get_state() for number, one in enumerate(self._drawing())}
        return found | ({"random-gpu": torch.cuda.get_rng_state(self._pool.device)} if self._pool.is_cuda else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken."""
        self.model.load_state_dict(begun.of("model", state))
        for number, optimiser in enumerate(self._optimisers()):
            each: dict[int, Weights] = {}
            for name, one in begun.of(f"optimiser{number}", state).items():
                at, _, entry = name.partition("/")
                each.setdefault(int(at), {})[entry] = one
            optimiser.load_state_dict({"state": each, "param_groups": optimiser.state_dict()["param_groups"]})
        self._schedule.last_epoch = epoch = int(state["epoch"])
        for group, rate in zip(self._optimiser.param_groups, self._schedule.base_lrs, strict=True):
            group["lr"] = rate * self._factor(epoch)
        torch.set_rng_state(state["random"])
        for number, generator in enumerate(self._drawing()):
            generator.set_state(state[f"generator{number}"])
        if self._pool.is_cuda:
            torch.cuda.set_rng_state(state["random-gpu"], self._pool.device)

    def _drawing(self) -> list[torch.Generator]:
        """The generators that it draws from."""
        return [self._order, *([self._draw] if self._draw else []), *self._generators]

    def load(self, weights: Sequence[Weights]) -> None:
        """Take these weights, as many runs as there are."""
        if not self._needs.stacks:
            self.model.load_state_dict(weights[0])
            return
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

    def _factor(self, epoch: int) -> float:
        """What the learning rate is multiplied by in an epoch (from 0)."""
        return lr_factor(self._config, epoch)

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        """All that learn."""
        return [self._optimiser]

    def _outputs(self, examples: Examples, which: Tensor, run: int) -> Iterator[tuple[Batch, Any]]:
        """What one run says of some utterances, batch by batch."""
        self.model.eval()
        stacked = self._needs.stacks
        weights = {name: weight[run : run + 1] for name, weight in self.model.named_parameters()} if stacked else {}
        parts = torch.split(which, EVALUATION_BATCH if stacked else self._batch)
        for batch in examples.batches(parts):
            with self._computing():
                yield batch, functional_call(self.model, weights, (batch,))

    def _computing(self) -> contextlib.AbstractContextManager[Any]:
        """The precision that is asked for."""
        dtype = DTYPES[self._config.precision]
        return torch.autocast(self._pool.device.type, dtype, enabled=dtype is not torch.float32)


@runtime_checkable
class OwnLearner(HeadModule, Protocol):
    """A head that is trained in a way of its own."""

    LEARNER: type[Learner]


def learner_of(head: HeadModule) -> type[Learner]:
    """What trains a head."""
    return head.LEARNER if isinstance(head, OwnLearner) else Learner


def bucketed(shuffled: Tensor, lengths: Tensor, batch: int, order: torch.Generator) -> list[Tensor]:
    """Batches in random order, each of utterances that lie near each other in length; `lengths` are of all utterances."""
    windows = torch.split(shuffled, batch * WINDOW)
    batches = [part for window in windows for part in torch.split(window[lengths[window].argsort(stable=True)], batch)]
    return [batches[i] for i in torch.randperm(len(batches), generator=order)]


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

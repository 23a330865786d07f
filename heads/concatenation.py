"""`concatenation`: early fusion of multi-level fusion (Zhao et al. 2022, section 2.3) by joining the inputs along time.

Every input has its own layer weights and LayerNorm (eq. 1); their rows, one after the other, go through one branch of late fusion.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from heads import linear, multilevel
from heads.blocks import Dense, LayerMix, Norm, ReluDropout, cross_entropy, dense, mean_and_std_over_time, mean_over_time, normalised
from heads.config import Needs, Paper
from heads.data import Batch, Input, Output, PackedTensor

PAPER = Paper(title=linear.PAPER.title, url=linear.PAPER.url, protocol=linear.PAPER.protocol, reported={"FP": 71.29})
"""The row by its speech levels (frame, phone); it has the text too."""
NEEDS = Needs(least=2, stacks=True, freezes=True)
Config = linear.Config


class Entry(nn.Module):
    """Eq. 1 of one input and the branch's first dense layer, into which the LayerNorm's weight and bias are folded."""

    def __init__(self, mix: LayerMix, one: Input, width: int) -> None:
        """An input of another width than the branch takes is projected first."""
        super().__init__()
        self.mix = mix
        self.norm = Norm(one.dim)
        self.project = Dense(one.dim, width) if one.dim != width else None
        self.frozen = one.frozen

    def forward(self, packed: PackedTensor, first: Dense) -> Float[Tensor, "runs rows hidden"]:
        """W1 u + b1 of every row."""
        rows = packed.values if self.frozen else normalised(self.mix(packed.values))
        if self.project is None:
            return dense(rows, *self.norm.into(first))
        projected: Tensor = first(dense(rows, *self.norm.into(self.project)))
        return projected


class Concatenation(nn.Module):
    """Logits of the mean over time of all inputs' rows: -> [runs, batch, classes]."""

    def __init__(self, config: linear.Config, inputs: Sequence[Input], classes: int) -> None:
        """One branch of the largest input's width."""
        super().__init__()
        width, wide = multilevel.width_of(inputs), config.pooling == "mean+std"
        self.entries = nn.ModuleList(Entry(linear.layer_mix(one, config.layer_weights), one, width) for one in inputs)
        self.first, self.second = Dense(width, config.hidden), Dense(config.hidden, config.hidden)
        self.drop = ReluDropout(config.dropout)
        self.pool = mean_and_std_over_time if wide else mean_over_time
        self.classify = Dense(config.hidden * (2 if wide else 1), classes)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy of the joined rows."""
        order, offsets = joined([one.offsets for one in batch.inputs])
        rows = torch.cat([entry(one, self.first) for entry, one in zip(self.entries, batch.inputs, strict=True)], dim=1)
        rows = self.drop(self.second(self.drop(rows[:, order]), self.drop.scale))
        embedding = self.pool(rows, offsets) * self.drop.scale
        logits = self.classify(embedding)
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding)


def joined(each: Sequence[Int[Tensor, " edges"]]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " edges"]]:
    """For inputs whose rows lie one after the other: the order that puts every utterance's rows together, and their offsets."""
    utterances = torch.arange(len(each[0]) - 1, device=each[0].device)
    owner = torch.cat([torch.repeat_interleave(utterances, offsets.diff()) for offsets in each])
    return owner.argsort(stable=True), torch.stack(list(each)).sum(0)


def build(config: linear.Config, inputs: Sequence[Input], classes: int) -> Concatenation:
    """The head: 120,104 parameters for three inputs of 12 layers of 768 and 4 classes."""
    return Concatenation(config, inputs, classes)


def deviations(config: linear.Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    return [*linear.deviations(config, inputs), *multilevel.projected(inputs)]

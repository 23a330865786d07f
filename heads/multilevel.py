"""What the transformer models of multi-level fusion (Zhao et al. 2022) share: embeddings (eq. 1), the last layers (eq. 4), settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from heads import linear
from heads.attention import Activation, AttentionBlock, Padded, heads_within, padded
from heads.blocks import LayerWeights, cross_entropy
from heads.config import Normalise, Training
from heads.data import Batch, Input, Output, PackedTensor

Scale = Literal["head", "embedding"]
MOST = 65_536
"""Largest width and number of layers that a setting may ask for."""


@dataclass(frozen=True, kw_only=True)
class Config(Training):
    """The paper's values; SOURCES names those that it does not print."""

    lr: float = 5e-5
    normalise: Normalise = "speech"
    depth: int = 3
    """Transformer layers, one on the other."""
    heads: int = 12
    """Attention heads; the largest smaller number where the width is no multiple of it."""
    feedforward: int = 3072
    activation: Activation = "relu"
    dropout: float = 0.2
    """After every feed-forward layer but the last one; nothing is dropped of attention."""
    scale: Scale = "head"
    """What d is in softmax(Q K' / sqrt(d)): the width of a head, or as printed 'the dimension of the embeddings'."""
    layer_weights: LayerWeights = "plain"
    """w / sum(w) as in the paper, or Pepino's |w| / sum(|w|)."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect_shares("dropout")
        self.expect(1, MOST, "depth", "heads", "feedforward")


SOURCES = linear.SOURCES | {"heads": "BERT", "feedforward": "BERT", "activation": "Vaswani et al.", "scale": "Vaswani et al."}
"""Where a default is from that the paper does not print."""


class Embedding(nn.Module):
    """Eq. 1: u_k = LN(sum_l w_l u_k^l / sum_l w_l) of one input, its rows side by side; projected where it has another width."""

    def __init__(self, one: Input, width: int, weights: LayerWeights) -> None:
        """`width` is that of the rows which come out."""
        super().__init__()
        self.mix = linear.layer_mix(one, weights)
        self.norm = nn.LayerNorm(one.dim)
        self.project = nn.Linear(one.dim, width) if one.dim != width else nn.Identity()

    def forward(self, packed: PackedTensor) -> Padded:
        """[batch, time, width]."""
        return padded(self.project(self.norm(self.mix(packed.values)[0])), packed.offsets)


class Fusion(nn.Module):
    """Eq. 4: g = LN(ReLU(W4 c + b4) + c) and the logits W5 g + b5; dropout after the first of the two."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        """W4 is square."""
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, classes)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, c: Float[Tensor, "batch width"], batch: Batch) -> Output:
        """Cross-entropy of the logits; the embedding is g."""
        g = self.norm(self.dropout(F.relu(self.inner(c))) + c)
        logits = self.outer(g)[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, g[None])


def width_of(inputs: Sequence[Input]) -> int:
    """The width that all inputs are brought to: the largest."""
    return max(one.dim for one in inputs)


def projected(inputs: Sequence[Input]) -> list[str]:
    """In words, which inputs are brought to that width."""
    width = width_of(inputs)
    return [f"{one.name}: {one.dim} wide, projected to {width}; the paper's inputs are of one width" for one in inputs if one.dim != width]


def block(config: Config, width: int) -> AttentionBlock:
    """One transformer block."""
    return AttentionBlock(
        width,
        heads_within(width, config.heads),
        config.feedforward,
        dropout=config.dropout,
        activation=config.activation,
        scale=1 / math.sqrt(width) if config.scale == "embedding" else None,
    )


def deviations(config: Config, inputs: Sequence[Input], sources: Mapping[str, str] = SOURCES) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    found, width = [*linear.deviations(config, inputs, sources), *projected(inputs)], width_of(inputs)
    if (taken := heads_within(width, config.heads)) != config.heads:
        found.append(f"{taken} attention heads; {width} is no multiple of {config.heads}")
    return found

"""Attention for heads that pad: batches [batch, time, dim] with a mask of what is real, in torch's fused kernels.

No [time, time] matrix is ever in memory: the fused kernels go over keys in blocks, on a CPU and on a GPU. Padding is masked
in every sum, so an answer depends on it only by rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "gelu"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
MULTIPLE = 8
"""Padded lengths are multiples of this, which the fused kernels of GPUs want of a mask."""


@dataclass(frozen=True, slots=True)
class Padded:
    """Sequences of several lengths as one array: what is not `real` is 0."""

    values: Float[Tensor, "batch time dim"]
    real: Bool[Tensor, "batch time"]

    def mean(self) -> Float[Tensor, "batch dim"]:
        """Mean of each sequence over its own time."""
        return self.values.masked_fill(~self.real[:, :, None], 0).sum(1) / self.real.sum(1)[:, None]

    def max(self) -> Float[Tensor, "batch dim"]:
        """Largest value of each dimension over each sequence's own time."""
        return self.values.masked_fill(~self.real[:, :, None], -torch.inf).amax(1)

    def then(self, other: "Padded") -> "Padded":
        """Each sequence with another of the same width behind it in time."""
        return Padded(torch.cat([self.values, other.values], 1), torch.cat([self.real, other.real], 1))

    def holding(self, values: Float[Tensor, "batch time width"]) -> "Padded":
        """Other values of the same sequences."""
        return Padded(values, self.real)


def padded(rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"], multiple: int = MULTIPLE) -> Padded:
    """Packed sequences, with `offsets` [batch + 1], side by side, as long as the longest, up to a multiple."""
    lengths = offsets.diff()
    time = -(-int(lengths.max()) // multiple) * multiple
    real = torch.arange(time, device=rows.device) < lengths[:, None]
    values = rows.new_zeros(len(lengths), time, rows.shape[1])
    values[real] = rows
    return Padded(values, real)


def heads_within(dim: int, most: int) -> int:
    """The largest number of heads, up to `most`, that a width of `dim` can be divided among."""
    return next(heads for heads in range(min(dim, most), 0, -1) if dim % heads == 0)


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017), with the scale 1 / sqrt(dim / heads) unless another is given."""

    def __init__(self, dim: int, heads: int, *, scale: float | None = None, dropout: float = 0.0) -> None:
        """4 (dim + 1) dim parameters; `dim` is a multiple of `heads`; `dropout` acts on the attention probabilities."""
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.dropout = dropout
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, asking: Padded, asked: Padded) -> Float[Tensor, "batch time dim"]:
        """Rows of `asking` as sums over the real rows of `asked`."""
        q, k, v = self._split(self.query(asking.values)), self._split(self.key(asked.values)), self._split(self.value(asked.values))
        dropped = self.dropout if self.training else 0.0
        mask = asked.real[:, None, None, :]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped, scale=self.scale)
        joined: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return joined

    def _split(self, values: Tensor) -> Tensor:
        """[batch, time, dim] -> [batch, heads, time, dim / heads]."""
        batch, time, dim = values.shape
        return values.view(batch, time, self.heads, dim // self.heads).transpose(1, 2)


class AttentionBlock(nn.Module):
    """A transformer block with its norms last: x + attention, LayerNorm, + feed-forward, LayerNorm.

    With one input it attends to itself; with two it is the cross-attention block: queries from the first, keys and values from
    the second.
    """

    def __init__(self, dim: int, heads: int, hidden: int, *, dropout: float, activation: Activation, scale: float | None = None) -> None:
        """`hidden` is the width of the feed-forward layer; `dropout` acts after each of its two layers."""
        super().__init__()
        self.attention = Attention(dim, heads, scale=scale)
        self.norm, self.last_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inner, self.outer = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)

    def forward(self, asking: Padded, asked: Padded | None = None) -> Padded:
        """As long as `asking`."""
        rows = self.norm(asking.values + self.attention(asking, asked or asking))
        fed = self.dropout(self.outer(self.dropout(self.activation(self.inner(rows)))))
        return asking.holding(self.last_norm(rows + fed))

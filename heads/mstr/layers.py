"""The blocks of MSTR and of its baseline: they differ in what becomes of queries, keys and values, and in no parameter."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from heads.mstr.scales import Scale, mixed
from heads.mstr.windows import windowed


@dataclass(frozen=True, slots=True)
class Frames:
    """What a block must know of the frames of a batch: which count (None: all of them), and how they lie together."""

    real: Bool[Tensor, "batch time"] | None
    scales: tuple[Scale, ...]


class Attention(nn.Module):
    """Self-attention with several heads; 4 (dim + 1) dim parameters whatever the frames attend to."""

    def __init__(self, dim: int, heads: int, factor: float) -> None:
        """`factor` is what scores are multiplied by; `dim` is a multiple of `heads`."""
        super().__init__()
        self.heads = heads
        self.factor = factor
        self.joined = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)


class Vanilla(Attention):
    """Every frame attends to every one (Vaswani et al. 2017), in torch's fused kernels."""

    def forward(self, values: Float[Tensor, "batch time dim"], frames: Frames) -> Float[Tensor, "batch time dim"]:
        """Sums over the frames that count."""
        batch, time, dim = values.shape
        parts = (part.view(batch, time, self.heads, dim // self.heads).transpose(1, 2) for part in self.joined(values).chunk(3, -1))
        query, key, value = parts
        mask = None if frames.real is None else frames.real[:, None, None, :]
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.factor)
        summed: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return summed


class Fractal(Attention):
    """Frames attend to their window of p at each of several scales; GELU of every scale, stretched to all frames, is added up."""

    def forward(self, values: Float[Tensor, "batch time dim"], frames: Frames) -> Float[Tensor, "batch time dim"]:
        """As long as it was."""
        lacking = frames.scales[0].time - values.shape[1]
        joined = self.joined(F.pad(values, (0, 0, 0, lacking)) if lacking else values)
        found = [F.gelu(one) for one in windowed(joined, self.heads, self.factor, frames.scales)]
        summed: Tensor = self.out(mixed(found, frames.scales))
        return summed


class Feed(nn.Module):
    """Two linear layers with an activation and dropout between them."""

    def __init__(self, dim: int, hidden: int, dropout: float, activation: Callable[[Tensor], Tensor]) -> None:
        """`hidden` is the width between them."""
        super().__init__()
        self.inner, self.outer = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)
        self.activation = activation

    def forward(self, values: Tensor) -> Tensor:
        """Each row by itself."""
        fed: Tensor = self.outer(self.dropout(self.activation(self.inner(values))))
        return fed


class Block(nn.Module):
    """Attention and feed-forward, each with dropout, added to what it was given; norms come after that, or with `norm_first` before."""

    def __init__(
        self, attention: Attention, feed: Feed, norms: tuple[nn.LayerNorm, nn.LayerNorm], dropout: float, *, norm_first: bool
    ) -> None:
        """`norms` are over each frame, or over the frames together."""
        super().__init__()
        self.attention, self.feed = attention, feed
        self.norm, self.last_norm = norms
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, values: Float[Tensor, "batch time dim"], frames: Frames) -> Float[Tensor, "batch time dim"]:
        """As long and as wide."""
        if self.norm_first:
            values = values + self.dropout(self.attention(self.norm(values), frames))
            fed: Tensor = values + self.dropout(self.feed(self.last_norm(values)))
        else:
            values = self.norm(values + self.dropout(self.attention(values, frames)))
            fed = self.last_norm(values + self.dropout(self.feed(values)))
        return fed


def factor_of(dim: int, heads: int, *, whole: bool) -> float:
    """What scores are multiplied by: 1 / sqrt(width of a head), or with `whole` 1 / sqrt(dim), as eq. 1 prints it for one head."""
    return 1 / math.sqrt(dim if whole else dim // heads)


def mean_of(values: Float[Tensor, "batch time dim"], real: Bool[Tensor, "batch time"] | None) -> Float[Tensor, "batch dim"]:
    """Mean over the frames that count."""
    if real is None:
        return values.mean(1)
    return torch.where(real[:, :, None], values, 0).sum(1) / real.sum(1)[:, None]

"""Parts that heads are made of. They work on packed rows [rows, dim], where `offsets` [batch + 1] says whose rows are whose."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

LayerWeights = Literal["plain", "absolute"]
Pooling = Literal["mean", "mean+std"]


class _ScaledSum(torch.autograd.Function):
    """sum_l scale_l * values_l + bias, a layer at a time, so that no float32 copy of all layers is ever made."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """[layers, rows, dim] in its stored dtype, [layers, dim], [dim] -> float32 [rows, dim]."""
        ctx.save_for_backward(values)
        total = bias.repeat(values.shape[1], 1)
        for layer, factor in zip(values, scale, strict=True):
            total.addcmul_(layer.float(), factor)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor]:
        """The features are frozen: only scale and bias get a gradient."""
        (values,), (grad,) = ctx.saved_tensors, grads
        return None, torch.stack([layer.float().mul_(grad).sum(0) for layer in values]), grad.sum(0)


class LayerMix(nn.Module):
    """Weighted average over layers of standardised features, with one learned weight a layer.

    sum_l a_l (x_l - mean_l) / std_l with a = w / sum(w), or |w| / sum(|w|) for 'absolute'; w starts as ones. Mean and
    deviation fold into one scale for each layer and dimension and one bias, so the features are never copied.
    """

    shift: Tensor  # [layers, dim]: mean / std
    factor: Tensor  # [layers, dim]: 1 / std

    def __init__(
        self, layers: int, mean: Float[Tensor, "layers dim"], std: Float[Tensor, "layers dim"], weights: LayerWeights = "plain"
    ) -> None:
        """`mean` and `std` [layers, dim] are 0 and 1 for features that are taken as they are."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(layers))
        self.kind = weights
        self.register_buffer("shift", mean / std)
        self.register_buffer("factor", 1 / std)

    def forward(self, values: Float[Tensor, "layers rows dim"]) -> Float[Tensor, "rows dim"]:
        """float16 or float32 -> float32."""
        weight = self.weight.abs() if self.kind == "absolute" else self.weight
        share = (weight / weight.sum())[:, None]
        mixed: Tensor = _ScaledSum.apply(values, share * self.factor, -(share * self.shift).sum(0))  # type: ignore[no-untyped-call]
        return mixed


class Dropout(nn.Module):
    """F.dropout with 16 random bits a value, four values to a draw: the draws are most of its time on a CPU."""

    def __init__(self, p: float) -> None:
        """`p` is the share of values set to 0, rounded to 1/65536."""
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape; nothing happens in evaluation."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        keep = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
        return x * keep.mul(2**16 / (2**16 - dropped))


def mean_over_time(rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"]) -> Float[Tensor, "edges-1 dim"]:
    """Mean of each utterance's own rows."""
    lengths = offsets.diff()
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), lengths)
    total = rows.new_zeros(len(lengths), rows.shape[1]).index_add(0, owner, rows)
    return total / lengths[:, None]


def mean_and_std_over_time(rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"]) -> Float[Tensor, "edges-1 2*dim"]:
    """Mean and standard deviation of each utterance's own rows, side by side."""
    mean = mean_over_time(rows, offsets)
    away = rows - torch.repeat_interleave(mean, offsets.diff(), dim=0)
    return torch.cat([mean, (mean_over_time(away.square(), offsets) + 1e-8).sqrt()], dim=1)


class Branch(nn.Module):
    """The linear branch of multi-level fusion: layer weights, LayerNorm (eq. 1), two dense layers, mean over time, dense.

    One input [layers, rows, dim] -> logits [batch, classes].
    """

    def __init__(self, mix: LayerMix, dim: int, classes: int, *, hidden: Sequence[int], dropout: float, pooling: Pooling) -> None:
        """`hidden` holds the widths of the dense layers, each followed by ReLU and dropout."""
        super().__init__()
        self.mix = mix
        self.norm = nn.LayerNorm(dim)
        widths = (dim, *hidden)
        dense = [(nn.Linear(a, b), nn.ReLU(), Dropout(dropout)) for a, b in pairwise(widths)]
        self.dense = nn.Sequential(*(part for layer in dense for part in layer))
        self.pool = mean_and_std_over_time if pooling == "mean+std" else mean_over_time
        self.classify = nn.Linear(widths[-1] * (2 if pooling == "mean+std" else 1), classes)

    def forward(self, values: Float[Tensor, "layers rows dim"], offsets: Int[Tensor, " edges"]) -> Float[Tensor, "edges-1 classes"]:
        """Logits of each utterance."""
        rows = self.dense(self.norm(self.mix(values)))
        logits: Tensor = self.classify(self.pool(rows, offsets))
        return logits

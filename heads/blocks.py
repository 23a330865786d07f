"""Parts that heads are made of.

They work on packed rows [rows, dim], where `offsets` [batch + 1] says whose rows are whose, and on several runs at once: every
parameter has the runs as its first dimension (one for a head that was just built; `stack` joins several), and so have the
rows once the runs part. What all runs share is computed once. A run in a stack gets what it gets alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from heads.data import Batch

LayerWeights = Literal["plain", "absolute"]
Pooling = Literal["mean", "mean+std"]
CHUNK_BYTES = 4 << 20
"""Standardised layers are made in pieces of about this size, which stay in a CPU's caches."""


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Several heads, built alike, as one of several runs; the first is changed and given back."""
    each = [dict(model.named_parameters()) for model in models]
    for name, parameter in models[0].named_parameters():
        parameter.data = torch.cat([one[name].data for one in each])
    return models[0]


class Dense(nn.Module):
    """A linear layer for each run: [runs, rows, inputs], or [1, rows, inputs] for all -> [runs, rows, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Initialised as torch's own."""
        super().__init__()
        plain = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(plain.weight.detach()[None].clone())
        self.bias = nn.Parameter(plain.bias.detach()[None].clone())

    def forward(self, rows: Float[Tensor, "runs_or_1 rows inputs"], scale: float = 1.0) -> Float[Tensor, "runs rows outputs"]:
        """One matrix product for all runs where they share the rows, which are taken `scale` times."""
        return dense(rows, self.weight if scale == 1 else self.weight * scale, self.bias)


def dense(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[runs or 1, rows, inputs], [runs, outputs, inputs], [runs, outputs] -> [runs, rows, outputs]."""
    runs, outputs, _ = weight.shape
    if len(rows) == 1:
        together = F.linear(rows[0], weight.flatten(0, 1), bias.flatten())
        return together.view(-1, runs, outputs).transpose(0, 1).contiguous()
    return torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2))


class Norm(nn.Module):
    """The weight and bias of a LayerNorm for each run; the normalising itself comes before, since it has no parameters."""

    def __init__(self, dim: int) -> None:
        """Ones and zeros."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dim))
        self.bias = nn.Parameter(torch.zeros(1, dim))

    def into(self, layer: Dense) -> tuple[Tensor, Tensor]:
        """Weight and bias of the dense layer that does both: so the rows need no gradient, and are gone over once less."""
        return layer.weight * self.weight[:, None], layer.bias + (layer.weight @ self.bias[:, :, None])[:, :, 0]


class _Mixed(torch.autograd.Function):
    """sum_l share[run, l] (values_l - mean_l) / std_l, some rows at a time, so that no float32 copy of all layers is ever made."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
        """[layers, rows, dim] in its stored dtype, [runs, layers], twice [layers, dim] -> float32 [runs, rows, dim]."""
        ctx.save_for_backward(values, factor, shift)
        total = values.new_empty(len(share), *values.shape[1:], dtype=torch.float32)
        for rows in _pieces(values):
            standardised = _standardised(values[:, rows], factor, shift)
            total[:, rows] = (share @ standardised.flatten(1)).view(len(share), *standardised.shape[1:])
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None, None]:
        """The features are frozen: only the shares get a gradient."""
        (values, factor, shift), (grad,) = ctx.saved_tensors, grads
        found = grad.new_zeros(len(grad), len(values))
        for rows in _pieces(values):
            found.addmm_(grad[:, rows].flatten(1), _standardised(values[:, rows], factor, shift).flatten(1).T)
        return None, found, None, None


def _pieces(values: Tensor) -> list[slice]:
    """Slices of rows of [layers, rows, dim]."""
    layers, rows, dim = values.shape
    step = max(1, CHUNK_BYTES // (4 * layers * dim)) if values.device.type == "cpu" else rows
    return [slice(at, min(at + step, rows)) for at in range(0, rows, max(step, 1))]


def _standardised(values: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """[layers, rows, dim] in float32."""
    return torch.addcmul(-shift[:, None], values.float(), factor[:, None])


class LayerMix(nn.Module):
    """Weighted average over layers of standardised features, with one learned weight a layer and run.

    sum_l a_l (x_l - mean_l) / std_l with a = w / sum(w), or |w| / sum(|w|) for 'absolute'; w starts as ones.
    """

    shift: Tensor  # [layers, dim]: mean / std
    factor: Tensor  # [layers, dim]: 1 / std

    def __init__(
        self, layers: int, mean: Float[Tensor, "layers dim"], std: Float[Tensor, "layers dim"], weights: LayerWeights = "plain"
    ) -> None:
        """`mean` and `std` [layers, dim] are 0 and 1 for features that are taken as they are."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, layers))
        self.kind = weights
        self.register_buffer("shift", mean / std)
        self.register_buffer("factor", 1 / std)

    def forward(self, values: Float[Tensor, "layers rows dim"]) -> Float[Tensor, "runs_or_1 rows dim"]:
        """float16 or float32 -> float32; a single layer has the share 1 whatever its weight, and is the same for all runs."""
        if len(values) == 1:
            return _standardised(values, self.factor, self.shift)
        weight = self.weight.abs() if self.kind == "absolute" else self.weight
        share = weight / weight.sum(1, keepdim=True)
        mixed: Tensor = _Mixed.apply(values, share, self.factor, self.shift)  # type: ignore[no-untyped-call]
        return mixed


class _Kept(torch.autograd.Function):
    """values * keep, remembering only which are kept."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, keep: Tensor) -> Tensor:
        """Of one shape; `keep` is bool."""
        ctx.save_for_backward(keep)
        return values * keep

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Only where it was kept."""
        (keep,), (grad,) = ctx.saved_tensors, grads
        return grad * keep, None


class ReluDropout(nn.Module):
    """ReLU and dropout in one go, with 16 random bits a value (so `p` is rounded to 1/65536), from a generator of each run.

    What is kept is not scaled: whoever comes next multiplies by `scale`, which costs less on a few weights than on many rows.
    """

    def __init__(self, p: float) -> None:
        """`p` is the share of values set to 0 in training."""
        super().__init__()
        self.dropped = min(round(p * 2**16), 2**16 - 1)
        self.generators: Sequence[torch.Generator] = ()
        """One for each run; none: torch's global one."""

    @property
    def scale(self) -> float:
        """1 / (1 - p) in training, else 1."""
        return 2**16 / (2**16 - self.dropped) if self.training else 1.0

    def forward(self, values: Float[Tensor, "runs rows dim"]) -> Float[Tensor, "runs rows dim"]:
        """Nothing is dropped in evaluation."""
        if not self.training or not self.dropped:
            return values.relu()
        generators: Sequence[torch.Generator | None] = self.generators or [None] * len(values)
        draws = torch.stack([_shorts(values[0], generator) for generator in generators])
        kept: Tensor = _Kept.apply(values, (draws >= self.dropped - 2**15) & (values > 0))  # type: ignore[no-untyped-call]
        return kept


def _shorts(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Random int16 of the same shape, four to a draw: the draws are most of the time of a dropout on a CPU."""
    draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64, device=like.device).random_(-(2**63), None, generator=generator)
    return draws.view(torch.int16)[: like.numel()].view(like.shape)


def mean_over_time(rows: Float[Tensor, "*runs rows dim"], offsets: Int[Tensor, " edges"]) -> Float[Tensor, "*runs edges-1 dim"]:
    """Mean of each utterance's own rows."""
    lengths = offsets.diff()
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), lengths)
    share = torch.zeros(len(lengths), len(owner), device=rows.device, dtype=rows.dtype)
    share[owner, torch.arange(len(owner), device=rows.device)] = (1 / lengths).to(rows.dtype)[owner]
    return share @ rows


def mean_and_std_over_time(rows: Float[Tensor, "*runs rows dim"], offsets: Int[Tensor, " edges"]) -> Float[Tensor, "*runs edges-1 2*dim"]:
    """Mean and standard deviation of each utterance's own rows, side by side."""
    mean = mean_over_time(rows, offsets)
    away = rows - torch.repeat_interleave(mean, offsets.diff(), dim=-2)
    return torch.cat([mean, (mean_over_time(away.square(), offsets) + 1e-8).sqrt()], dim=-1)


def cross_entropy(logits: Float[Tensor, "runs batch classes"], batch: Batch) -> Float[Tensor, " runs"]:
    """Of each run, the mean over the utterances that it learns from."""
    runs, utterances, _ = logits.shape
    each = F.cross_entropy(logits.flatten(0, 1).float(), batch.labels.repeat(runs), reduction="none").view(runs, utterances)
    if batch.weights is None:
        return each.mean(1)
    return (each * batch.weights).sum(1) / batch.weights.sum(1).clamp_min(1)


class Branch(nn.Module):
    """The linear branch of multi-level fusion: layer weights, LayerNorm (eq. 1), two dense layers, mean over time, dense.

    One input [layers, rows, dim] -> logits [runs, batch, classes]. `frozen` inputs come with layer weights and the normalising
    of eq. 1 done: one layer leaves nothing to learn there.
    """

    def __init__(
        self, mix: LayerMix, dim: int, classes: int, *, hidden: Sequence[int], dropout: float, pooling: Pooling, frozen: bool = False
    ) -> None:
        """`hidden` holds the widths of the dense layers, each followed by ReLU and dropout."""
        super().__init__()
        self.mix = mix
        self.norm = Norm(dim)
        first, *others = (Dense(a, b) for a, b in pairwise((dim, *hidden)))
        self.first = first
        self.others = nn.ModuleList(others)
        self.drop = ReluDropout(dropout)
        self.pool = mean_and_std_over_time if pooling == "mean+std" else mean_over_time
        self.classify = Dense(hidden[-1] * (2 if pooling == "mean+std" else 1), classes)
        self.frozen = frozen

    def forward(
        self, values: Float[Tensor, "layers rows dim"], offsets: Int[Tensor, " edges"]
    ) -> tuple[Float[Tensor, "runs edges-1 classes"], Float[Tensor, "runs edges-1 width"]]:
        """Logits of each utterance, and what they are made of."""
        rows = values if self.frozen else normalised(self.mix(values))
        rows = self.drop(dense(rows, *self.norm.into(self.first)))
        for layer in self.others:
            rows = self.drop(layer(rows, self.drop.scale))
        embedding: Tensor = self.pool(rows, offsets) * self.drop.scale
        return self.classify(embedding), embedding


def normalised(rows: Float[Tensor, "*runs rows dim"]) -> Float[Tensor, "*runs rows dim"]:
    """The part of LayerNorm that has no parameters."""
    return F.layer_norm(rows, rows.shape[-1:])

"""Self-attention within windows of p frames at every scale, as one operation with a gradient of its own.

Windows hold 2 to 5 frames, so matrix products of them are mostly overhead: a product of two frames is written as multiplication and
sum over all windows at once, for each of the p places that a key may have. Queries, keys and values lie side by side in one array,
so that all three are pooled together.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from heads.mstr.scales import Scale

LOW = -1e30
"""Score of a key that no frame may attend to; finite, so that a window without any key gives zeros and not NaN."""


class _Windows(torch.autograd.Function):
    """Attention within the windows of every scale."""

    @staticmethod
    def forward(ctx: Any, joined: Tensor, heads: int, factor: float, scales: tuple[Scale, ...]) -> tuple[Tensor, ...]:
        """[batch, time, 3 dim] of queries, keys and values -> [batch, time of the scale, dim] for each scale."""
        with torch.autocast(joined.device.type, enabled=False):
            at_scale = [joined]
            for fine, coarse in pairwise(scales):
                at_scale.append(_pooled(at_scale[-1], fine, coarse))
            found = [_attend(one, heads, factor, scale.absent) for one, scale in zip(at_scale, scales, strict=True)]
        ctx.save_for_backward(*at_scale, *(weights for _, weights in found))
        ctx.heads, ctx.factor, ctx.scales = heads, factor, scales
        return tuple(out for out, _ in found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Coarse scales first: what they ask of their frames goes to the frames that these are means of."""
        scales = ctx.scales
        at_scale, weights = ctx.saved_tensors[: len(scales)], ctx.saved_tensors[len(scales) :]
        with torch.autocast(grads[0].device.type, enabled=False):
            back = [_attend_back(*one, ctx.heads, ctx.factor) for one in zip(grads, at_scale, weights, strict=True)]
            for k in range(len(scales) - 1, 0, -1):
                _pooled_back(back[k], back[k - 1], scales[k - 1], scales[k])
        return back[0], None, None, None


def windowed(joined: Float[Tensor, "batch time thrice"], heads: int, factor: float, scales: tuple[Scale, ...]) -> list[Tensor]:
    """Eq. 1 at every scale, with several heads: queries, keys and values side by side -> [batch, time of the scale, dim] each.

    `factor` is what scores are multiplied by; `time` is that of the first scale.
    """
    return list(_Windows.apply(joined, heads, factor, scales))  # type: ignore[no-untyped-call]


def _in_windows(rows: Tensor, heads: int, p: int) -> Tensor:
    """[batch, time, dim] -> [batch, windows, p, heads, dim / heads], without a copy."""
    batch, _, dim = rows.shape
    return rows.view(batch, -1, p, heads, dim // heads)


def _thirds(joined: Tensor, heads: int, p: int) -> list[Tensor]:
    """Queries, keys and values, each in windows."""
    return [_in_windows(part, heads, p) for part in joined.chunk(3, -1)]


def _attend(joined: Tensor, heads: int, factor: float, absent: Bool[Tensor, "batch windows p"]) -> tuple[Tensor, Tensor]:
    """Sums [batch, time, dim] over the keys of each window, and their weights [keys, batch, windows, queries, heads]."""
    p = absent.shape[2]
    q, k, v = _thirds(joined, heads, p)
    nobody = absent.permute(2, 0, 1)[..., None, None]
    weights = _products(q, k).mul_(factor).masked_fill_(nobody, LOW).softmax(0).masked_fill_(nobody, 0).to(joined.dtype)
    found = joined.new_empty(*joined.shape[:2], joined.shape[2] // 3)
    _weighted(_in_windows(found, heads, p), weights, v)
    return found, weights


def _attend_back(grad: Tensor, joined: Tensor, weights: Tensor, heads: int, factor: float) -> Tensor:
    """The gradient [batch, time, 3 dim] of queries, keys and values."""
    p = len(weights)
    (q, k, v), grad = _thirds(joined, heads, p), _in_windows(grad.contiguous(), heads, p)
    asked = _products(grad, v)
    asked -= (weights * asked).sum(0)
    asked = (asked * weights).mul_(factor).to(joined.dtype)
    back = torch.empty_like(joined)
    to_q, to_k, to_v = _thirds(back, heads, p)
    _weighted(to_q, asked, k)
    _weighted(to_k, asked.permute(3, 1, 2, 0, 4), q)
    _weighted(to_v, weights.permute(3, 1, 2, 0, 4), grad)
    return back


def _products(asking: Tensor, asked: Tensor) -> Tensor:
    """Products of every frame with every frame of its window, in float32 or better: [asked, batch, windows, asking, heads]."""
    p = asking.shape[2]
    found = asking.new_empty(p, *asking.shape[:-1], dtype=torch.promote_types(asking.dtype, torch.float32))
    for j in range(p):
        torch.sum(asking * asked[:, :, j : j + 1], -1, dtype=found.dtype, out=found[j])
    return found


def _weighted(out: Tensor, weights: Tensor, values: Tensor) -> None:
    """Sums over the frames of a window, `weights` [frames, batch, windows, p, heads], into `out`."""
    torch.mul(weights[0][..., None], values[:, :, :1], out=out)
    for j in range(1, len(weights)):
        out.addcmul_(weights[j][..., None], values[:, :, j : j + 1])


def _pooled(joined: Tensor, fine: Scale, coarse: Scale) -> Tensor:
    """The mean of each window of the finer scale, over what is real in it; zeros fill the last window up."""
    p = fine.share.shape[2]
    made = joined.new_zeros(len(joined), coarse.time, joined.shape[2])
    of = joined.view(len(joined), -1, p, joined.shape[2])[:, : coarse.frames]
    share = fine.share[:, : coarse.frames].to(joined.dtype)
    for i in range(p):
        made[:, : coarse.frames].addcmul_(of[:, :, i], share[:, :, i])
    return made


def _pooled_back(grad: Tensor, into: Tensor, fine: Scale, coarse: Scale) -> None:
    """Add what the means pass on to the gradient of the finer scale."""
    share = fine.share[:, : coarse.frames].to(grad.dtype)
    windows = into.view(len(into), -1, fine.share.shape[2], into.shape[2])
    windows[:, : coarse.frames].addcmul_(grad[:, : coarse.frames, None], share)

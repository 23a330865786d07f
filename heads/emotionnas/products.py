"""Matrix products where most of a recurrent layer's time goes, by oneDNN where it can be had.

On processors that MKL does not know as its maker's, oneDNN takes about half the time (benchmarks/RESULTS.md). torch offers it to its own
compiler alone, by an operation that another version may lack; then torch's usual products are taken, which differ by rounding.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

NAMES = ("_linear_pointwise", "_reorder_linear_weight")
LEAST = 1 << 16
"""Numbers of a matrix from which on oneDNN is worth its two calls a step; below, both directions are one product of torch's."""
PLAIN: tuple[Any, ...] = (None, "none", [], "")
"""No bias, and nothing done to the product."""


def by_onednn(like: Tensor) -> bool:
    """Whether oneDNN multiplies such numbers here."""
    there = torch._C._has_mkldnn and all(hasattr(torch.ops.mkldnn, name) for name in NAMES)
    return there and like.device.type == "cpu" and like.dtype == torch.float32


def times(rows: Float[Tensor, "rows inner"], weight: Float[Tensor, "outputs inner"]) -> Float[Tensor, "rows outputs"]:
    """Rows weight^T, without gradients."""
    if not by_onednn(rows):
        return rows @ weight.T
    # with a weight that is not contiguous oneDNN is a thousand times slower
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows.contiguous(), weight.contiguous(), *PLAIN)
    return found


class Linear(torch.autograd.Function):
    """rows weight^T: [rows, inner], [outputs, inner] -> [rows, outputs]."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        """As `times`."""
        ctx.save_for_backward(rows, weight)
        return times(rows, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor]:
        """The frames of a corpus want no gradient."""
        (rows, weight), (grad,) = ctx.saved_tensors, grads
        return times(grad, weight.T) if ctx.needs_input_grad[0] else None, grad.T @ rows


class Matrix:
    """One matrix a direction, [directions, inner, outputs], brought into the order that many products with few rows want of it."""

    def __init__(self, values: Tensor) -> None:
        self.values = values
        reorder = torch.ops.mkldnn._reorder_linear_weight if by_onednn(values) and values[0].numel() >= LEAST else None
        self.packed = [reorder(one.T.contiguous(), None) for one in values] if reorder else []

    def add(self, rows: Float[Tensor, "directions rows inner"], out: Float[Tensor, "directions rows outputs"]) -> None:
        """Out += rows matrix."""
        if not self.packed:
            torch.baddbmm(out, rows, self.values, out=out)
        for one, weight, into in zip(rows, self.packed, out, strict=False):
            into += torch.ops.mkldnn._linear_pointwise(one, weight, *PLAIN)

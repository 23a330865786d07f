"""Rows of a feature set as images of one size, each utterance by itself: who else is in a batch has no say in an answer.

An utterance of as many rows as the image has is taken as it is; of more, row i is the mean of rows floor(i T / height) up to
floor((i + 1) T / height), so that every row counts once; of fewer, zeros follow its end.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from emocache.errors import UsageError
from heads.data import Input, PackedTensor


class Images(nn.Module):
    """One layer of one input -> [batch, 1, height, dim]; standardised where there are statistics."""

    mean: Tensor | None  # [dim]
    std: Tensor | None  # [dim]

    def __init__(self, one: Input, height: int) -> None:
        """`one` says the width of the features and their statistics; UsageError for several layers."""
        super().__init__()
        if len(one.layers) != 1:
            raise UsageError(f"this head takes one layer of its encoder, and {one.name} has {len(one.layers)}; give --layers last")
        self.height = height
        self.register_buffer("mean", one.moments.mean[0] if one.moments else None)
        self.register_buffer("std", one.moments.std[0] if one.moments else None)

    def forward(self, packed: PackedTensor) -> Float[Tensor, "batch 1 height dim"]:
        """The images of a batch."""
        rows = packed.values[0].float()
        if self.mean is not None and self.std is not None:
            rows = (rows - self.mean) / self.std
        return images(rows, packed.offsets, self.height)


def images(rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"], height: int) -> Float[Tensor, "batch 1 height dim"]:
    """The images of utterances whose rows lie end to end."""
    lengths = offsets.diff()
    if bool((lengths == height).all()):
        return rows.reshape(len(lengths), 1, height, rows.shape[1])
    utterance = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), lengths)
    at, length = torch.arange(len(rows), device=rows.device) - offsets[utterance], lengths[utterance]
    place = torch.where(length > height, ((at + 1) * height - 1) // length, at) + utterance * height
    sums = rows.new_zeros(len(lengths) * height, rows.shape[1]).index_add_(0, place, rows)
    counts = torch.bincount(place, minlength=len(sums)).clamp(min=1)
    return (sums / counts[:, None]).reshape(len(lengths), 1, height, rows.shape[1])

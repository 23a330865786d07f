"""The network of EmotionNAS's wav2vec branch: recurrent layers of a searched cell, attention over the frames, two dense layers.

Utterances are brought to a number of bins as the paper has it: zeros up to the longest one of the corpus, then means over bins that do
not overlap. Without bins each is as long as it is. Either way no answer depends on who else is in a batch.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from emocache.errors import UsageError
from heads.attention import padded
from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output
from heads.emotionnas.recipe import CellRecipe
from heads.emotionnas.recurrence import Recurrence, steps_of


class Recurrent(nn.Module):
    """One layer of one input -> logits [1, batch, classes]; the embedding is what attention makes of the frames."""

    mean: Tensor | None  # [dim]
    std: Tensor | None  # [dim]

    def __init__(
        self, recipe: CellRecipe, one: Input, *, layers: int, width: int, bidirectional: bool, frames: int, mask: bool, classes: int
    ) -> None:  # fmt: skip
        """`frames` bins, or 0 for each utterance as long as it is; with `mask` what has no frame of the utterance is left out."""
        super().__init__()
        if len(one.layers) != 1:
            raise UsageError(f"this head takes one layer of its encoder, and {one.name} has {len(one.layers)}; give --layers last")
        self.register_buffer("mean", one.moments.mean[0] if one.moments else None)
        self.register_buffer("std", one.moments.std[0] if one.moments else None)
        self.longest, self.frames, self.mask = one.longest, frames, mask
        directions = 2 if bidirectional else 1
        joined = directions * width
        self.layers = nn.ModuleList(
            Recurrence(recipe, joined if number else one.dim, width, directions=directions) for number in range(layers)
        )
        self.attention = nn.Linear(joined, 1, bias=False)
        half = max(1, joined // 2)
        self.hidden, self.classify = nn.Linear(joined, half), nn.Linear(half, classes)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy."""
        (packed,) = batch.inputs
        rows, offsets = packed.values[0].float(), packed.offsets
        if self.mean is not None and self.std is not None:
            rows = (rows - self.mean) / self.std
        if self.frames:
            rows, offsets = pooled(rows, offsets, self.longest, self.frames, mask=self.mask)
        steps = steps_of(offsets)
        for layer in self.layers:
            rows = layer(rows, steps)
        each = padded(rows, offsets, 1)
        shares = self.attention(each.values).masked_fill(~each.real[:, :, None], -torch.inf).softmax(1)
        embedding = (shares.transpose(1, 2) @ each.values)[:, 0]
        logits = self.classify(self.hidden(embedding).relu())[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding[None])


def pooled(
    rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"], longest: int, bins: int, *, mask: bool
) -> tuple[Float[Tensor, "pooled dim"], Int[Tensor, " edges"]]:
    """Means over `bins` bins of an utterance of `longest` rows, or of as many rows as bins if that is more; and the new offsets.

    Bin k holds rows floor(k M / bins) up to floor((k + 1) M / bins). Shorter utterances have zeros up to the end; with `mask` these
    count in no mean, and a bin of zeros alone is not there.
    """
    lengths = offsets.diff()
    most = max(longest, bins, int(lengths.max()))
    edges = torch.arange(bins + 1, device=rows.device) * most // bins
    at = torch.arange(len(rows), device=rows.device) - torch.repeat_interleave(offsets[:-1], lengths)
    of_row = torch.searchsorted(edges, at, right=True) - 1
    held = torch.searchsorted(edges, lengths - 1, right=True) if mask else torch.full_like(lengths, bins)
    begins = held.cumsum(0) - held
    place = torch.repeat_interleave(begins, lengths) + of_row
    sums = rows.new_zeros(int(held.sum()), rows.shape[1]).index_add_(0, place, rows)
    widths = torch.bincount(place, minlength=len(sums)) if mask else edges.diff().repeat(len(lengths))
    return sums / widths[:, None], torch.cat([begins, held.sum(0, keepdim=True)])

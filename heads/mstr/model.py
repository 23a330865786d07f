"""The head: frames of one length or of several, blocks, the mean over time, and a classifier of three layers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from emocache.errors import UsageError
from heads.attention import ACTIVATIONS, MULTIPLE, Padded, padded
from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output
from heads.mstr.config import Config
from heads.mstr.layers import Block, Feed, Fractal, Frames, Vanilla, factor_of, mean_of
from heads.mstr.scales import scales_of


class Mstr(nn.Module):
    """One layer of one input -> logits [1, batch, classes]; the embedding is what the last layer is given."""

    mean: Tensor | None  # [dim]
    std: Tensor | None  # [dim]

    def __init__(self, config: Config, one: Input, classes: int) -> None:
        """`one` says the width of the features and their statistics."""
        super().__init__()
        self.config = config
        width = config.width_of(one)
        self.register_buffer("mean", one.moments.mean[0] if one.moments else None)
        self.register_buffer("std", one.moments.std[0] if one.moments else None)
        self.project = nn.Linear(one.dim, width) if config.width else None
        self.blocks = nn.ModuleList(block(config, width) for _ in range(config.blocks))
        half, quarter = max(1, width // 2), max(1, width // 4)
        self.hidden = nn.ModuleList([nn.Linear(width, half), nn.Linear(half, quarter)])
        self.classify = nn.Linear(quarter, classes)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.classifier_dropout)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy."""
        (packed,) = batch.inputs
        given = self._padded(self._features(packed.values[0]), packed.offsets)
        frames = self._frames(given)
        values = given.values
        for one in self.blocks:
            values = one(values, frames)
        embedding = mean_of(values, frames.real)
        for layer in self.hidden:
            embedding = self.dropout(self.activation(layer(embedding)))
        logits = self.classify(embedding)[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding[None])

    def _features(self, rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows width"]:
        """Standardised where there are statistics, and as wide as the blocks."""
        rows = rows.float()
        if self.mean is not None and self.std is not None:
            rows = (rows - self.mean) / self.std
        return rows if self.project is None else self.project(rows)

    def _padded(self, rows: Float[Tensor, "rows width"], offsets: Int[Tensor, " edges"]) -> Padded:
        """Side by side, with zeros behind their ends."""
        if self.config.frames:
            return fixed(rows, offsets, self.config.frames)
        return padded(rows, offsets, MULTIPLE if self.config.attention == "vanilla" else self.config.p)

    def _frames(self, given: Padded) -> Frames:
        """Which frames count, and the scales, which are the same in every block."""
        real = given.real if self.config.mask else given.real.new_ones(1, given.real.shape[1])
        levels = self.config.levels if self.config.attention == "mstr" else 0
        return Frames(given.real if self.config.mask else None, scales_of(real, self.config.p, levels, floor=self.config.frames > 0))


def fixed(rows: Float[Tensor, "rows dim"], offsets: Int[Tensor, " edges"], frames: int) -> Padded:
    """The first `frames` rows of each utterance, and zeros where it has less."""
    lengths = offsets.diff()
    at = torch.arange(frames, device=rows.device)
    real = at < lengths[:, None]
    where = (offsets[:-1, None] + at).clamp(max=len(rows) - 1)
    return Padded(rows[where].masked_fill(~real[:, :, None], 0), real)


def block(config: Config, width: int) -> Block:
    """One block of MSTR or of the baseline."""
    over = (config.frames, width) if config.norm == "matrix" else (width,)
    kind = Fractal if config.attention == "mstr" else Vanilla
    attention = kind(width, config.heads, factor_of(width, config.heads, whole=config.scale == "model"))
    feed = Feed(width, config.ffn_of(width), config.dropout, ACTIVATIONS[config.activation])
    return Block(attention, feed, (nn.LayerNorm(over), nn.LayerNorm(over)), config.dropout, norm_first=config.norm_first)


def build(config: Config, inputs: Sequence[Input], classes: int) -> Mstr:
    """The head: 26,992,388 parameters on IEMOCAP, 25,321,991 on MELD and 24,109,318 on CREMA-D."""
    (one,) = inputs
    if len(one.layers) != 1:
        raise UsageError(f"mstr takes one layer of its encoder, and {one.name} has {len(one.layers)}; give --layers last")
    return Mstr(config, one, classes)

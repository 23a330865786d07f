"""The blocks of MMER: layers of BERT, with dropout where BERT has it."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from heads.attention import Attention, Padded, padded
from heads.data import Input, PackedTensor
from heads.mmer.config import Config

EPSILON = 1e-12
"""Of BERT's LayerNorm."""


class Block(nn.Module):
    """A layer of BERT: queries from the first sequence, keys and values from the second, or from the first itself.

    What is no row has no weight at all in a softmax; the released code adds -10000 to its scores, which in float32 is the same.
    """

    def __init__(self, config: Config) -> None:
        """7,087,872 parameters in the paper's size."""
        super().__init__()
        self.attention = Attention(config.width, config.heads, dropout=config.dropout)
        self.norm, self.last_norm = (nn.LayerNorm(config.width, eps=EPSILON) for _ in range(2))
        self.inner, self.outer = nn.Linear(config.width, config.hidden), nn.Linear(config.hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, asking: Padded, asked: Padded | None = None) -> Padded:
        """As long as `asking`."""
        rows = self.norm(asking.values + self.dropout(self.attention(asking, asked or asking)))
        return asking.holding(self.last_norm(rows + self.dropout(self.outer(F.gelu(self.inner(rows))))))


class Rows(nn.Module):
    """Packed features side by side, standardised where there are statistics, and projected where they are not `width` wide."""

    mean: Tensor
    std: Tensor

    def __init__(self, one: Input, width: int, most: int | None = None) -> None:
        """`most` rows at most."""
        super().__init__()
        self.register_buffer("mean", one.moments.mean[0] if one.moments else None)
        self.register_buffer("std", one.moments.std[0] if one.moments else None)
        self.width = width
        self.project = nn.Identity() if one.dim == width else nn.Linear(one.dim, width)
        self.most = most

    def forward(self, packed: PackedTensor) -> Padded:
        """The one layer of every utterance, in float32."""
        rows = packed.values[0].float()
        found = padded(rows if self.mean is None else (rows - self.mean) / self.std, packed.offsets)
        return Padded(self.project(found.values[:, : self.most]), found.real[:, : self.most])


class Linear(nn.Module):
    """A linear layer with LayerNorm, over each row."""

    def __init__(self, width: int) -> None:
        """From and to `width`."""
        super().__init__()
        self.linear, self.norm = nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, given: Padded) -> Padded:
        """As long as it was."""
        return given.holding(self.norm(self.linear(given.values)))


def adapter(config: Config) -> nn.Module:
    """What is trained before everything that takes speech."""
    if config.adapter == "none":
        return nn.Identity()
    return Block(config) if config.adapter == "transformer" else Linear(config.width)


def projector(inputs: int, width: int) -> nn.Sequential:
    """The two layers before a contrastive loss."""
    layers: Sequence[nn.Module] = (nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))
    return nn.Sequential(*layers)

"""Layers and encoders of TDFNet, for one sequence or for two of which one asks the other."""

from torch import nn
from torch.nn import functional as F

from heads.attention import Attention, AttentionBlock, Padded
from heads.tdfnet.config import Config


class LiteralBlock(nn.Module):
    """A layer as eq. 5 and 7 are printed: L(x + gelu(W L(x + attention(x)) + b)), both sums from the layer's own input."""

    def __init__(self, dim: int, heads: int, *, dropout: float) -> None:
        """One matrix [dim, dim] after the attention."""
        super().__init__()
        self.attention = Attention(dim, heads)
        self.norm, self.last_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inner = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, asking: Padded, asked: Padded | None = None) -> Padded:
        """As long as `asking`."""
        rows = self.norm(asking.values + self.attention(asking, asked or asking))
        return asking.holding(self.last_norm(asking.values + self.dropout(F.gelu(self.inner(rows)))))


class Encoder(nn.Module):
    """Layers one after the other; with a second sequence each asks that, as it was given."""

    def __init__(self, config: Config, dim: int) -> None:
        """`config.layers` layers of width `dim`."""
        super().__init__()
        self.layers = nn.ModuleList(_layer(config, dim) for _ in range(config.layers))

    def forward(self, asking: Padded, asked: Padded | None = None) -> Padded:
        """As long as `asking`."""
        for layer in self.layers:
            asking = layer(asking, asked)
        return asking


def _layer(config: Config, dim: int) -> nn.Module:
    """One layer."""
    if config.ffn == "literal":
        return LiteralBlock(dim, config.heads, dropout=config.dropout)
    return AttentionBlock(dim, config.heads, config.feed_forward, dropout=config.dropout, activation="gelu")


def encoders(config: Config, dim: int) -> nn.ModuleDict:
    """An encoder for each modality, which may be the same one."""
    first = Encoder(config, dim)
    return nn.ModuleDict(
        {name: first if i == 0 or config.shared_encoders else Encoder(config, dim) for i, name in enumerate(config.streams)}
    )

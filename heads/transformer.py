"""`transformer`: the transformer encoder that multi-level fusion (Zhao et al. 2022, Table 1) sets beside its linear branch.

Embeddings (eq. 1), three transformer layers, the mean over time (eq. 2), two feed-forward layers: those of eq. 4, since the
model is there to be compared with co-attention.
"""

from collections.abc import Sequence

from torch import nn

from heads import linear, multilevel
from heads.config import Needs, Paper
from heads.data import Batch, Input, Output

PAPER = Paper(
    title=linear.PAPER.title,
    url=linear.PAPER.url,
    protocol=linear.PAPER.protocol,
    reported={"text": 67.29, "frame": 62.85, "phone": 62.79, "syllable": 63.26, "word": 62.38},
)
NEEDS = Needs(least=1, most=1, buckets=True)
Config = multilevel.Config


class Transformer(nn.Module):
    """Logits of one input: -> [1, batch, classes]."""

    def __init__(self, embedding: multilevel.Embedding, blocks: Sequence[nn.Module], fusion: multilevel.Fusion) -> None:
        """The blocks in their order."""
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(blocks)
        self.fusion = fusion

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy of the one input."""
        (packed,) = batch.inputs
        rows = self.embedding(packed)
        for block in self.blocks:
            rows = block(rows)
        output: Output = self.fusion(rows.mean(), batch)
        return output


def build(config: multilevel.Config, inputs: Sequence[Input], classes: int) -> Transformer:
    """The head: 21,860,368 parameters for 12 layers of 768 and 4 classes."""
    (one,) = inputs
    return Transformer(
        multilevel.Embedding(one, one.dim, config.layer_weights),
        [multilevel.block(config, one.dim) for _ in range(config.depth)],
        multilevel.Fusion(one.dim, classes, config.dropout),
    )


deviations = multilevel.deviations

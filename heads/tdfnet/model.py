"""TDFNet as a whole: inputs, deep-scale transformer, mutual transformer, and the classifier over all that is pooled (eq. 10, 11)."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output
from heads.tdfnet.config import Config
from heads.tdfnet.inputs import Role, Rows, Standardise, by_role
from heads.tdfnet.mutual import Mutual
from heads.tdfnet.scales import DeepScale, Streams


class TDFNet(nn.Module):
    """Speech in time, text, and a speaker embedding -> logits; what an ablation leaves out is not built."""

    def __init__(self, config: Config, inputs: Sequence[Input], classes: int) -> None:
        """Inputs in any order."""
        super().__init__()
        self._config = config
        self._at = by_role(inputs, config.roles)
        of = {name: inputs[i] for name, i in self._at.items()}
        self.rows = nn.ModuleDict({name: _rows(config, name, of[name]) for name in config.streams})
        self.scales = DeepScale(config) if config.dst else None
        self.mutual = Mutual(config) if config.with_mutual else None
        self.speaker = Standardise(of["speaker"]) if config.with_mutual else None
        self.fusion = Fusion(config, _widths(config, of["speaker"].dim if config.with_mutual else 0), classes)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy; the embedding is what the last layer is given."""
        logits, embedding = self.fusion(self.pooled(batch))
        return Output(logits[None], {"cross_entropy": cross_entropy(logits[None], batch)}, embedding[None])

    def pooled(self, batch: Batch) -> list[Tensor]:
        """The parts of O, each [batch, width of the part]: of A and T, of A' and T', of U, and of D and H scale by scale."""
        given: Streams = {name: self.rows[name](batch.inputs[self._at[name]]) for name in self._config.streams}
        encoded, scaled = self.scales(given) if self.scales is not None else ({}, [])
        parts = [part for one in given.values() for part in (one.mean(), one.max())]
        for one in encoded.values():
            parts += [one.mean(), one.max()] if self._config.pool == "literal" else [one.mean()]
        if self.mutual is not None and self.speaker is not None:
            of = encoded if self._config.mutual == "encoded" else given
            parts += self.mutual(of["speech"], of["text"], self.speaker(batch.inputs[self._at["speaker"]].values[0]))
        return parts + [part for streams in scaled for one in streams.values() for part in (one.mean(), one.max())]


def _rows(config: Config, name: Role, one: Input) -> Rows:
    """What makes an input A or T."""
    fill = config.padding == "zero"
    if name == "text":
        return Rows(one, config.width, most=config.text_tokens, fill=fill, through=None, project=False)
    through = None if config.me else config.embedded
    return Rows(one, config.width, most=config.audio_frames, fill=fill, through=through, project=True)


def _widths(config: Config, speaker: int) -> list[int]:
    """The width of every part of O, as `TDFNet.pooled` puts them."""
    streams, whole = len(config.streams), config.width
    encoded = streams * (2 if config.pool == "literal" else 1) if config.dst else 0
    mutual = [whole] * 6 + [speaker] if config.with_mutual else []
    scales = chain.from_iterable([whole >> number] * 2 * streams for number in range(1, config.scales + 1))
    return [whole] * (2 * streams + encoded) + mutual + (list(scales) if config.dst else [])


class Fusion(nn.Module):
    """alpha = sigmoid(W O), logits = W2 (alpha * O) + b: elementwise, since the scalar alpha^T O of eq. 11 tells no classes apart."""

    def __init__(self, config: Config, widths: Sequence[int], classes: int) -> None:
        """Parts of O of these widths: 11,712 in all in the paper's setting."""
        super().__init__()
        self.widths = list(widths)
        self.by_part = config.gate == "block"
        self.gate = nn.Linear(sum(widths), len(widths) if self.by_part else sum(widths), bias=False)
        self.classify = nn.Linear(sum(widths), classes)
        self.gelu = config.gelu_logits

    def forward(self, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [batch, classes], and alpha * O [batch, width]."""
        whole = torch.cat(list(parts), 1)
        alpha = self.gate(whole).sigmoid()
        if self.by_part:
            alpha = torch.cat([alpha[:, i : i + 1].expand(-1, width) for i, width in enumerate(self.widths)], 1)
        gated = alpha * whole
        logits = self.classify(gated)
        return F.gelu(logits) if self.gelu else logits, gated


def build(config: Config, inputs: Sequence[Input], classes: int) -> TDFNet:
    """The head: 254,731,780 parameters for HuBERT-large, BERT-base, ECAPA and 4 classes."""
    return TDFNet(config, inputs, classes)

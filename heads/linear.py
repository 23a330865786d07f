"""`linear`: learned layer weights, two dense layers and the mean over time, on one encoder.

The branch of Pepino et al. (Interspeech 2021) as multi-level fusion uses it; its released code leaves the hidden sizes,
which the paper does not print, at 128.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from emocache.store.layout import SOURCE
from heads.blocks import Branch, LayerMix, LayerWeights, Pooling, cross_entropy
from heads.config import NO_NUMBER, UNPRINTED, Needs, Normalise, Paper, Training
from heads.data import Batch, Input, Output

PAPER = Paper(
    title="Multi-level Fusion of Wav2vec 2.0 and BERT for Multimodal Emotion Recognition",
    url="https://arxiv.org/abs/2207.04697",
    protocol="IEMOCAP, 4 classes, 5-fold by session, 5 repeats; validation on a random tenth of the training folds",
    reported={"text": 68.12, "frame": 65.44, "phone": 64.24, "syllable": 63.86, "word": 64.48},
)
NEEDS = Needs(least=1, most=1, stacks=True, freezes=True)
PAPER_ENCODERS = ("wav2vec2-base", "bert-base")


@dataclass(frozen=True, kw_only=True)
class Config(Training):
    """The paper's values; SOURCES names those that it does not print."""

    normalise: Normalise = "speech"
    hidden: int = 128
    dropout: float = 0.2
    layer_weights: LayerWeights = "plain"
    """w / sum(w) as in the paper, or Pepino's |w| / sum(|w|)."""
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect_shares("dropout")
        self.expect(1, 65_536, "hidden")


class Linear(nn.Module):
    """Logits of the mean over time of two dense layers: one input -> [runs, batch, classes]."""

    def __init__(self, branch: Branch) -> None:
        """One branch."""
        super().__init__()
        self.branch = branch

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy of the one branch."""
        (packed,) = batch.inputs
        logits, embedding = self.branch(packed.values, packed.offsets)
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding)


def layer_mix(one: Input, weights: LayerWeights) -> LayerMix:
    """The weighted average over the layers of one input."""
    shape = (len(one.layers), one.dim)
    mean, std = (one.moments.mean, one.moments.std) if one.moments else (torch.zeros(shape), torch.ones(shape))
    return LayerMix(len(one.layers), mean, std, weights)


def branch(config: Config, one: Input, classes: int) -> Branch:
    """The branch of one input, of its own width and layers."""
    return Branch(
        layer_mix(one, config.layer_weights),
        one.dim,
        classes,
        hidden=(config.hidden,) * 2,
        dropout=config.dropout,
        pooling=config.pooling,
        frozen=one.frozen,
    )


def build(config: Config, inputs: Sequence[Input], classes: int) -> Linear:
    """The head: 117,008 parameters for 12 layers of 768 and 4 classes."""
    (one,) = inputs
    return Linear(branch(config, one, classes))


SOURCES = UNPRINTED | {
    "epochs": "Pepino's code", "clip": "Pepino's code", "hidden": "Pepino's code", "patience": "our choice", "weight_decay": "our choice",
}  # fmt: skip
"""Where a default is from that the paper does not print."""
AS_PRINTED = "printed"
"""The variant of a level of segments whose rows are made as the paper prints it: word@mfa+printed."""


def deviations(config: Training, inputs: Sequence[Input], sources: Mapping[str, str] = SOURCES) -> list[str]:
    """In words, where this configuration is not what the paper describes; `sources` as SOURCES, for a config of another head."""
    found = [
        f"{name} is {getattr(config, name)}; {sources.get(name, 'the paper')} has {value}"
        for name, value in vars(type(config)()).items()
        if name not in NO_NUMBER and getattr(config, name) != value
    ]
    segments = [one.level for one in inputs if SOURCE in one.level]
    if not all(AS_PRINTED in level.split("+") for level in segments):
        found.append("a segment's row is the mean over its frames; the paper prints a sum over both ends, divided by one frame less")
    if config.normalise in {"global", "speech"} and segments:
        found.append("rows of segments are standardised with their own statistics; the paper normalises speech once, over frames")
    for one in inputs:
        if len(one.all_layers) > 1 and one.layers != one.all_layers[1:]:
            found.append(f"{one.name}: layers {', '.join(map(str, one.layers))}; the paper averages the outputs of all transformer blocks")
        if one.level == "utterance":
            found.append(f"{one.name}: one row per utterance; the paper has rows in time")
        if one.encoder not in PAPER_ENCODERS:
            found.append(f"{one.name}: made by {one.encoder}, which the paper does not use")
    return found

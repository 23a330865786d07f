"""`coattention`: co-attention early fusion (Zhao et al. 2022, section 2.3) of one text input with one or more of speech.

Every speech input i meets the text in a stack of its own, of three layers:

    text    U_T  --queries-->  block: keys and values of U_i  -->  U_T' ...  mean over its time --+
                                                                                                 +--> mean: c_i
    speech  U_i  --queries-->  block: keys and values of U_T  -->  U_i' ...  mean over its time --+

Both blocks of a layer see what comes into it. The c_i are joined, and eq. 4 makes the logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from emocache.errors import UsageError
from heads import linear, multilevel
from heads.attention import Padded
from heads.config import Needs, Paper
from heads.data import Batch, Input, Output

PAPER = Paper(
    title=linear.PAPER.title,
    url=linear.PAPER.url,
    protocol=linear.PAPER.protocol,
    reported={"F": 74.28, "FP": 74.57, "FS": 74.05, "FW": 74.27, "FPS": 73.35, "FPW": 73.96, "FSW": 73.53, "FPSW": 73.64},
)
"""Rows of the paper by their speech levels (frame, phone, syllable, word); each has the text too."""
NEEDS = Needs(least=2, buckets=True)
Average = Literal["branches", "rows"]


@dataclass(frozen=True, kw_only=True)
class Config(multilevel.Config):
    """As the transformer encoder, and what becomes of two branches and of several speech inputs."""

    average: Average = "branches"
    """The mean of the two branches of a stack, which differ in length: each over its own time and then the two, or all rows at once."""
    shared: bool = False
    """One stack for all speech inputs, rather than one for each."""


SOURCES = multilevel.SOURCES | {"average": "our reading", "shared": "our reading"}


class Layer(nn.Module):
    """One co-attention layer: text asks speech and speech asks text, both of them as they come in."""

    def __init__(self, config: Config, width: int) -> None:
        """14,175,744 parameters for a width of 768."""
        super().__init__()
        self.text, self.speech = multilevel.block(config, width), multilevel.block(config, width)

    def forward(self, text: Padded, speech: Padded) -> tuple[Padded, Padded]:
        """Each as long as it was."""
        return self.text(text, speech), self.speech(speech, text)


class Stack(nn.Module):
    """Several layers, and the mean of what becomes of text and speech: c_i = GA(U_T (x) U_i)."""

    def __init__(self, config: Config, width: int) -> None:
        """`depth` layers."""
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, width) for _ in range(config.depth))
        self.average = config.average

    def forward(self, text: Padded, speech: Padded) -> Float[Tensor, "batch width"]:
        """One vector for each utterance."""
        for layer in self.layers:
            text, speech = layer(text, speech)
        return averaged(text, speech, self.average)


class Coattention(nn.Module):
    """Logits of one text and several speech inputs: -> [1, batch, classes]."""

    def __init__(self, embeddings: Sequence[nn.Module], stacks: Sequence[nn.Module], fusion: nn.Module, *, text: int) -> None:
        """`text` is the number of the input that is text; there is one stack for each of the others, or one for all."""
        super().__init__()
        self.embeddings, self.stacks = nn.ModuleList(embeddings), nn.ModuleList(stacks)
        self.fusion = fusion
        self.text = text

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy of the joined inputs."""
        speech = [embedding(one) for embedding, one in zip(self.embeddings, batch.inputs, strict=True)]
        text = speech.pop(self.text)
        c = torch.cat([stack(text, one) for stack, one in zip(cycle(self.stacks), speech, strict=False)], dim=1)
        output: Output = self.fusion(c, batch)
        return output


def averaged(text: Padded, speech: Padded, average: Average) -> Float[Tensor, "batch width"]:
    """The mean of two branches over time (eq. 2) and over the two."""
    if average == "branches":
        return (text.mean() + speech.mean()) / 2
    lengths = torch.stack([text.real.sum(1), speech.real.sum(1)])[:, :, None]
    return (torch.stack([text.mean(), speech.mean()]) * lengths).sum(0) / lengths.sum(0)


def build(config: Config, inputs: Sequence[Input], classes: int) -> Coattention:
    """The head: 87,429,160 parameters for text, frames and phones of 12 layers of 768 and 4 classes."""
    texts = [i for i, one in enumerate(inputs) if one.text]
    if len(texts) != 1 or len(inputs) < 2:
        raise UsageError(f"co-attention takes one text input and one or more of speech; of the {len(inputs)} given, {len(texts)} are text")
    width, speech = multilevel.width_of(inputs), len(inputs) - 1
    return Coattention(
        [multilevel.Embedding(one, width, config.layer_weights) for one in inputs],
        [Stack(config, width) for _ in range(1 if config.shared else speech)],
        multilevel.Fusion(width * speech, classes, config.dropout),
        text=texts[0],
    )


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    return multilevel.deviations(config, inputs, SOURCES)

"""`handmade`: the networks made by hand that EmotionNAS compares its search with (table 1), on cached spectrograms.

`--set network=` names one. They are what is known of their papers, see `emotionnas.baselines`; what is not is named with each result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from heads import emotionnas
from heads.blocks import cross_entropy
from heads.config import Needs, Normalise, Paper
from heads.data import Batch, Input, Output
from heads.emotionnas import baselines
from heads.emotionnas.baselines import Elm, Network
from heads.emotionnas.clipping import NormClipped, NormClipping
from heads.emotionnas.images import Images

PAPER: Paper = replace(
    emotionnas.PAPER, reported={"rnn-elm": 63.9, "cnn-lstm": 62.0, "cnn-gru": 64.2, "ctc-rnn": 66.2, "pcnse-sadrn-ctc": 66.3}
)
NEEDS = Needs(least=1, most=1, resumes=True)


@dataclass(frozen=True, kw_only=True)
class Config(NormClipping):
    """Our choice throughout: EmotionNAS prints nothing of how it trains these."""

    network: Network = "cnn-lstm"
    frames: int = 140
    """Rows that an utterance is brought to: means of more, and zeros after fewer."""
    epochs: int = 50
    patience: int = 10
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(8, 100_000, "frames")


class Handmade(nn.Module):
    """One layer of one input as an image -> logits [1, batch, classes]."""

    def __init__(self, config: Config, one: Input, classes: int) -> None:
        super().__init__()
        self.images = Images(one, config.frames)
        self.network = baselines.network(config.network, one.dim, classes)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy, or what else the network learns by."""
        said = self.network(self.images(batch.inputs[0])[:, 0], batch.labels)
        logits = said.logits[None]
        losses = {"cross_entropy": cross_entropy(logits, batch)} if said.loss is None else {"own": said.loss[None]}
        return Output(logits, losses, said.embedding[None])


class ElmLearner(NormClipped):
    """After each epoch an extreme learning machine, where the network ends in one, is solved for on the training part."""

    def epoch(self) -> list[float]:
        """One pass over the pool."""
        losses = super().epoch()
        if isinstance(machine := self.model.network, Elm):
            with torch.no_grad():
                found = [output.embedding[0] for _, output in self._outputs(self._examples, self._pool, 0) if output.embedding is not None]
            machine.solve(torch.cat(found), self._examples.labels[self._pool])
        return losses


LEARNER = ElmLearner


def build(config: Config, inputs: Sequence[Input], classes: int) -> Handmade:
    """The network."""
    (one,) = inputs
    return Handmade(config, one, classes)


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    return [baselines.GUESSES[config.network], *_of_training(config), *_of_input(inputs[0])]


def _of_training(config: Config) -> Iterator[str]:
    """How it is trained, of which the paper prints nothing."""
    how = f"{config.optimiser} with lr {config.lr}, batch {config.batch}, at most {config.epochs} epochs"
    yield f"training is our choice: {how}, {config.patience} without a lower validation loss, gradients no longer than {config.clip_norm:g}"


def _of_input(one: Input) -> Iterator[str]:
    """Where the input is not the paper's."""
    if one.encoder != "spectrogram-140":
        yield f"{one.name}: made by {one.encoder}; the paper has a spectrogram of 140 x 140"

"""`supernet`: the network of EmotionNAS's search on spectrograms, its architecture weights learnt on the validation part.

This is what the parameter counts of the paper's tables are of. `emocache search spectrogram` trains it, keeps the cells that
its architecture weights choose, and trains their network (`cell`).
"""

from collections.abc import Iterator, Sequence

from heads import emotionnas
from heads.config import NO_NUMBER, UNPRINTED, Needs
from heads.data import Input
from heads.emotionnas import supernet
from heads.emotionnas.search import Search as Config
from heads.emotionnas.search import Searcher

__all__ = ["LEARNER", "NEEDS", "PAPER", "Config", "build", "deviations"]

PAPER = emotionnas.PAPER
NEEDS = Needs(least=1, most=1, fuses=True, learns_validation=True, resumes=True)
LEARNER = Searcher


def build(config: Config, inputs: Sequence[Input], classes: int) -> supernet.Supernet:
    """The head: 72,248 parameters for (L, C) = (3, 4), 132,274 for (3, 6) and 346,092 for (4, 8), as printed in millions.

    For (8, 16) there are 1,928,212 and the paper prints 1.32 M; that is what (6, 16) has: 1,320,084.
    """
    return supernet.network(inputs, layers=config.layers, channels=config.channels, frames=config.frames, classes=classes)


SIZES = ((3, 4), (3, 6), (4, 8), (8, 16))
"""Cells and channels of the paper's table 3."""
SOURCES = UNPRINTED | {
    "schedule": "DARTS's code", "lr_end": "DARTS's code", "alpha_decay": "DARTS's code",
    "batch": "DARTS's code", "clip_norm": "DARTS's code",
    "clip": "DARTS's code", "order": "our choice", "patience": "our choice", "tested": "the paper", "normalise": "our choice",
}  # fmt: skip
"""Where a default is from that the paper does not print."""


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    return [*_changed(config), *_of_size(config), *_of_input(inputs[0])]


def _changed(config: Config) -> Iterator[str]:
    """Settings that are not the default."""
    for name, value in vars(Config()).items():
        if name not in {*NO_NUMBER, "layers", "channels"} and getattr(config, name) != value:
            yield f"{name} is {getattr(config, name)}; {SOURCES.get(name, 'the paper')} has {value}"


def _of_size(config: Config) -> Iterator[str]:
    """Where the size is not one of the paper's, or not what it prints."""
    size = (config.layers, config.channels)
    if size not in SIZES:
        yield f"{config.layers} cells and {config.channels} channels; the paper has {', '.join(map(str, SIZES))}"
    if size == SIZES[-1]:
        yield "1,928,212 parameters with 4 classes, where the paper prints 1.32 M, which is what 6 cells of 16 channels have"


def _of_input(one: Input) -> Iterator[str]:
    """Where the input is not the paper's."""
    if one.encoder != "spectrogram-140":
        yield f"{one.name}: made by {one.encoder}; the paper has a spectrogram of 140 x 140"

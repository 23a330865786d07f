"""`cell`: the network of a searched cell, trained from the start on any cached features.

`--genotype FILE` names the file of the cell; what it holds is part of the settings, so that a run can be repeated without it. A
convolutional cell (EmotionNAS's spectrogram branch) takes an utterance as an image of one channel, see `emotionnas.images`; a recurrent
one (its wav2vec branch) goes through the frames, see `emotionnas.recurrent`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from emocache.errors import UsageError
from heads import emotionnas
from heads.config import NO_NUMBER, UNPRINTED, Needs, Normalise, Optimiser, Schedule
from heads.data import Input
from heads.emotionnas import derived, genotype, recipe, recurrent
from heads.emotionnas.cellfile import NO_CELL, Cell
from heads.emotionnas.clipping import NormClipped, NormClipping

PAPER = emotionnas.PAPER
NEEDS = Needs(least=1, most=1, longest=True, fuses=True, resumes=True)
LEARNER = NormClipped


@dataclass(frozen=True, kw_only=True)
class Config(NormClipping):
    """The defaults are those of a convolutional cell; OWN has those of other kinds, where they differ."""

    genotype: Cell = NO_CELL
    """The searched cell: a file of a search, or what is in it."""
    layers: int = 3
    """Cells one after the other."""
    width: int = 6
    """Channels of the first cell, or the hidden width of a recurrent one."""
    frames: int = 140
    """Rows that an utterance is brought to: means of more, and zeros after fewer; with a recurrent cell 0 leaves it as long as it is."""
    bidirectional: bool = True
    """A recurrent cell goes through the frames from the end as well."""
    mask: bool = False
    """A recurrent cell does not go through the zeros after an utterance's end, which the paper fills up with."""
    optimiser: Optimiser = "sgd"
    lr: float = 0.025
    schedule: Schedule = "cosine"
    weight_decay: float = 3e-4
    batch: int = 64
    epochs: int = 50
    patience: int = 50
    normalise: Normalise = "none"

    @property
    def of_all_folds(self) -> str:
        """A search on the same corpus has seen what some folds test."""
        return "one cell for all folds: if it was searched for on this corpus, tested utterances may have had a say in it"

    def following(self, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a kind of cell is trained with, where the cell before was of another kind."""
        kind = changes.get("genotype", self.genotype).kind
        return OWN.get(kind, {}) if kind != self.genotype.kind else {}

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(1, 64, "layers")
        self.expect(2, 65_536, "width")
        self.expect(0 if self.genotype.kind == "recurrent" else 1, 100_000, "frames")
        if self.genotype.kind == "convolutional" and self.width % 2:
            raise UsageError(f"width is {self.width}, expected an even number of channels: a reduction makes each half of them by itself")


OWN: Mapping[str, Mapping[str, Any]] = {
    "recurrent": {"layers": 2, "width": 256, "frames": 727, "optimiser": "adam", "lr": 1e-3, "schedule": "constant", "weight_decay": 0.0,
                  "batch": 32},
}  # fmt: skip
"""Kind of cell -> settings that have other defaults with it."""


def build(config: Config, inputs: Sequence[Input], classes: int) -> nn.Module:
    """The network of the cell."""
    kind = config.genotype.kind
    if not kind:
        raise UsageError("cell needs a searched cell: give --genotype FILE, the JSON that `emocache search` wrote")
    if kind not in NETWORKS:
        raise UsageError(f"no network of {kind} cells is built yet")
    return NETWORKS[kind](config, inputs, classes)


def _convolutional(config: Config, inputs: Sequence[Input], classes: int) -> nn.Module:
    """The derived network of a genotype."""
    found = genotype.from_json(config.genotype.value)
    return derived.network(found, inputs, layers=config.layers, channels=config.width, frames=config.frames, classes=classes)


def _recurrent(config: Config, inputs: Sequence[Input], classes: int) -> nn.Module:
    """Recurrent layers of a recipe."""
    (one,) = inputs
    return recurrent.Recurrent(
        recipe.of_json(config.genotype.value), one, layers=config.layers, width=config.width, bidirectional=config.bidirectional,
        frames=config.frames, mask=config.mask, classes=classes,
    )  # fmt: skip


NETWORKS: Mapping[str, Callable[[Config, Sequence[Input], int], nn.Module]] = {
    "convolutional": _convolutional,
    "recurrent": _recurrent,
}
"""Kind of cell -> what makes its network."""
RECURRENT_SIZES = ((1, 128), (2, 256))
"""Layers and widths of the paper's table 4."""
INPUT_OF = {"convolutional": ("spectrogram-140", "a spectrogram of 140 x 140"), "recurrent": ("wav2vec1-large", "wav2vec 1.0 large")}
"""Kind of cell -> the encoder of the paper, and what it prints of it."""
OURS = UNPRINTED | dict.fromkeys(("clip", "patience", "normalise", "accumulate"), "our choice")
SOURCES = {
    "convolutional": OURS | dict.fromkeys(("optimiser", "lr", "schedule", "weight_decay", "batch", "epochs", "clip_norm"), "the search"),
    "recurrent": OURS | dict.fromkeys(("weight_decay", "batch", "clip_norm"), "our choice") | {"bidirectional": "our reading of its sizes"},
}
"""Kind of cell -> where a default is from that the paper does not print for its network."""


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    return [*_changed(config), *_of_kind(config), *_of_input(config, inputs[0])]


def _changed(config: Config) -> Iterator[str]:
    """Settings that are not the default of this kind of cell."""
    usual = {**vars(Config()), **OWN.get(config.genotype.kind, {})}
    sources = SOURCES.get(config.genotype.kind, OURS)
    for name, value in usual.items():
        if name not in {*NO_NUMBER, "genotype", "layers", "width"} and getattr(config, name) != value:
            yield f"{name} is {getattr(config, name)}; {sources.get(name, 'the paper')} has {value}"


def _of_kind(config: Config) -> Iterator[str]:
    """What the paper leaves open for a kind of cell."""
    if config.genotype.kind == "convolutional":
        yield "derived network, trained from the start; the paper's parameter counts are those of the network of the search"
    if config.genotype.kind == "recurrent":
        yield "the paper's cell is one of NAS-Bench-NLP's, whose list is not at hand; ours is from a file or drawn after its rules"
        yield "both directions, attention by one vector, and dense layers to half the width and to the classes: our reading of the sizes"
        if (config.layers, config.width) not in RECURRENT_SIZES:
            yield f"{config.layers} layers of {config.width}; the paper has {' and '.join(f'{a} of {b}' for a, b in RECURRENT_SIZES)}"


def _of_input(config: Config, one: Input) -> Iterator[str]:
    """Where the input is not the paper's."""
    wanted, words = INPUT_OF.get(config.genotype.kind, (one.encoder, ""))
    if one.encoder != wanted:
        yield f"{one.name}: made by {one.encoder}; the paper has {words}"

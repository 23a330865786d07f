"""The settings of MSTR, with every choice that the paper leaves open, and what of a configuration is not the paper's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from emocache.errors import UsageError
from heads.attention import Activation
from heads.config import NO_NUMBER, UNPRINTED, Normalise, Tested, Training
from heads.data import Input


@dataclass(frozen=True, kw_only=True)
class Config(Training):
    """What any corpus can be learnt with; PAPERS names what the paper has otherwise, and where that is known from."""

    lr: float = 1e-4
    epochs: int = 150
    tested: Tested = "last"
    clip: float = 0.0
    normalise: Normalise = "global"
    attention: Literal["mstr", "vanilla"] = "mstr"
    """Fractal self-attention at several scales, or the paper's baseline, a transformer in which every frame attends to every one."""
    p: int = 3
    """Frames of a window, and how many frames are averaged to one of the next scale."""
    levels: int = 4
    """Scales: the paper's L."""
    blocks: int = 4
    heads: int = 16
    width: int = 0
    """Width of the blocks: a linear layer makes the features so wide; 0 leaves them as they are."""
    ffn: int = 0
    """Width of the feed-forward layer; 0 stands for half of the width of the blocks."""
    dropout: float = 0.1
    """After attention, within the feed-forward layer and after it."""
    classifier_dropout: float = 0.5
    activation: Activation = "relu"
    """Of the feed-forward layer and of the classifier."""
    scale: Literal["head", "model"] = "head"
    """Scores are divided by the root of the width of a head, or of the width of the blocks, as eq. 1 prints it for one head."""
    frames: int = 0
    """Utterances are cut, or filled up with zeros, to so many frames; 0 leaves each as long as it is."""
    mask: bool = True
    """Padding is left out of windows, pools, sums and means; without a mask it attends, and is averaged, like any frame."""
    norm: Literal["feature", "matrix"] = "feature"
    """LayerNorm over each frame, or with weights of its own for every frame over all `frames` together."""
    norm_first: bool = False
    """Norms before attention and feed-forward rather than after what they add to."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(2, 64, "p")
        self.expect(1, 16, "levels")
        self.expect(1, 1024, "blocks", "heads")
        self.expect(0, 65_536, "width", "ffn")
        self.expect(0, 1_000_000, "frames")
        self.expect_shares("dropout", "classifier_dropout")
        if not self.frames and not (self.mask and self.norm == "feature"):
            what = "norm=matrix has weights for each frame" if self.mask else "mask=false lets padding answer"
            raise UsageError(f"{what}, so utterances must be of one length: give --set frames=326 or another number of frames")
        if self.frames and self.attention == "mstr" and self.frames < self.p ** (self.levels - 1):
            raise UsageError(
                f"{self.frames} frames have no scale {self.levels}, whose frames last {self.p ** (self.levels - 1)}; lower levels"
            )

    def width_of(self, one: Input) -> int:
        """The width of the blocks for an input; UsageError where heads cannot share it."""
        width = self.width or one.dim
        if width % self.heads:
            near = -(-width // self.heads) * self.heads
            raise UsageError(f"{self.heads} heads cannot share a width of {width}; give --set width={near}, or other --set heads")
        return width

    def ffn_of(self, width: int) -> int:
        """The width of the feed-forward layer."""
        return self.ffn or max(1, width // 2)


COUNTS = "the paper's parameter counts give"
GROUP = "the code of the paper's group has"
OURS = "our reading of the paper has"
PAPERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "frames": (COUNTS, (326, 224, 150)), "norm": (COUNTS, ("matrix",)), "mask": (GROUP, (False,)), "normalise": (OURS, ("none",)),
    "epochs": ("the paper has", (150, 100)), "lr": ("the paper has", (1e-4, 5e-6, 5e-5)), "patience": (OURS, (Config().patience,)),
    "dropout": (GROUP, (0.1,)), "classifier_dropout": (GROUP, (0.5,)), "activation": (GROUP, ("relu",)), "norm_first": (GROUP, (False,)),
    "scale": (OURS, ("head",)), "tested": (OURS, ("last",)), "clip": (OURS, (0.0,)), "weight_decay": (OURS, (0.0,)),
    **{name: (OURS, (getattr(Config(), name),)) for name in UNPRINTED},
}  # fmt: skip
"""Setting -> where the paper's value is known from, and its values: of IEMOCAP, MELD and CREMA-D where they differ."""
VARIED = ("attention", "p", "levels")
"""What the paper tries several of."""
SIZES = ("width", "ffn")
"""Settings of which 0 stands for a size that follows from another."""


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    found = []
    for one in fields(config):
        source, expected = PAPERS.get(one.name, ("the paper has", (one.default,)))
        if one.name not in {*VARIED, *SIZES, *NO_NUMBER} and getattr(config, one.name) not in expected:
            found.append(f"{one.name} is {getattr(config, one.name)}; {source} {' or '.join(map(str, expected))}")
    found += _of_sizes(config, inputs[0])
    return [*found, "dropout is not applied to the weights of attention, as the code of the paper's group does", *_of_input(inputs[0])]


def _of_sizes(config: Config, one: Input) -> Iterator[str]:
    """Where a width is not as the paper's parameter counts give it."""
    if config.width:
        yield f"width is {config.width}, which a linear layer makes; {COUNTS} none, and 1024"
    if config.ffn not in {0, (config.width or one.dim) // 2}:
        yield f"ffn is {config.ffn}; {COUNTS} half of the width, which is 512"


def _of_input(one: Input) -> Iterator[str]:
    """Where the input is not the paper's."""
    if one.encoder != "hubert-large":
        yield f"{one.name}: made by {one.encoder}; the paper has hubert-large"
    if one.layers != one.all_layers[-1:]:
        yield f"{one.name}: layer {', '.join(map(str, one.layers))}; our choice, where the paper says nothing, is the last"
    if one.level != "frames":
        yield f"{one.name}: rows are of {one.level}; the paper has frames"

"""The settings of TDFNet, with every choice that the paper leaves open, and what of a configuration is not the paper's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from emocache.errors import UsageError
from heads.config import NO_NUMBER, UNPRINTED, Kept, Normalise, Optimiser, Training
from heads.data import Input
from heads.tdfnet.inputs import Role, role

Modality = Literal["both", "audio", "text"]
Gate = Literal["full", "block"]
Feed = Literal["standard", "literal"]
Pool = Literal["default", "literal"]
Padding = Literal["mask", "zero"]
Mutual = Literal["raw", "encoded"]


@dataclass(frozen=True, kw_only=True)
class Config(Training):
    """The paper's values; SOURCES names those that it does not print."""

    optimiser: Optimiser = "adamw"
    lr: float = 1e-4
    weight_decay: float = 0.01
    epochs: int = 20
    patience: int = 3
    clip: float = 0.0
    normalise: Normalise = "none"
    kept: Kept = "best"
    width: int = 768
    """The common size d of speech and text; the deep scales have d/2, d/4, ..."""
    heads: int = 12
    hidden: int = 0
    """Width of every feed-forward layer; 0 stands for 16/3 of `width`, the paper's 4096."""
    layers: int = 2
    """Layers of every encoder."""
    scales: int = 2
    """Deep-scale blocks (the paper's N); each halves time and width."""
    dropout: float = 0.1
    """After each of the two feed-forward layers."""
    audio_frames: int = 512
    """Rows of speech that are looked at; what follows is cut off."""
    text_tokens: int = 128
    """Rows of text that are looked at."""
    padding: Padding = "mask"
    """What is behind the end of an utterance: nothing ('mask'), or zeros that count as rows, up to `audio_frames` and `text_tokens`."""
    path: Modality = "both"
    """Ablation: one modality alone, without the mutual transformer and the speaker embedding, which is part of it."""
    dst: bool = True
    """Ablation: the deep-scale transformer, with its encoders of A' and T'."""
    mt: bool = True
    """Ablation: the mutual transformer, with the speaker embedding."""
    me: bool = True
    """Ablation: without the embedding of speech, its rows are a spectrogram's, made as wide as HuBERT-large's by a linear layer."""
    gate: Gate = "full"
    """alpha of eq. 11: a score for each dimension of O from all of O, or one for each pooled vector in it."""
    ffn: Feed = "standard"
    """A layer's second half: two matrices with `hidden` between them, or the one of eq. 5."""
    pool: Pool = "default"
    """A' and T' are averaged, which gives the printed size of O; 'literal' has their maxima too."""
    gelu_logits: bool = False
    """GELU over the logits, as eq. 11 is printed."""
    mutual: Mutual = "raw"
    """What the mutual transformer works on: A and T as in eq. 6, or A' and T'."""
    shared_encoders: bool = False
    """One encoder for speech and text, rather than one each; the GRUs are always shared."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(1, 65_536, "width", "heads")
        self.expect(0, 65_536, "hidden")
        self.expect(1, 1024, "layers")
        self.expect(1, 16, "scales")
        self.expect_shares("dropout")
        for name in ("audio_frames", "text_tokens"):
            if getattr(self, name) < 8 or getattr(self, name) % 8:
                raise UsageError(f"{name} is {getattr(self, name)}, expected a multiple of 8")
        unit = self.heads << self.scales
        if self.width % unit:
            raise UsageError(f"width is {self.width}, and {self.heads} heads at {self.scales} scales want a multiple of {unit}")
        self._check_ablation()

    def _check_ablation(self) -> None:
        """UsageError for what an ablation leaves no place for."""
        if not self.me and self.path == "text":
            raise UsageError("me=false is about speech, which path=text has none of; leave one of them out")
        if self.mutual == "encoded" and not self.dst:
            raise UsageError("mutual=encoded takes what the encoders of dst=true make; leave one of them out")

    @property
    def feed_forward(self) -> int:
        """Width of every feed-forward layer."""
        return self.hidden or self.width * 16 // 3

    @property
    def embedded(self) -> int:
        """Width that a spectrogram is given: HuBERT-large's 1024 where `width` is 768."""
        return self.width * 4 // 3

    @property
    def with_mutual(self) -> bool:
        """Whether there is a mutual transformer: it takes both modalities."""
        return self.mt and self.path == "both"

    @property
    def streams(self) -> tuple[Role, ...]:
        """The modalities that are in."""
        return ("speech", "text") if self.path == "both" else ("speech",) if self.path == "audio" else ("text",)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The inputs that are wanted."""
        return (*self.streams, "speaker") if self.with_mutual else self.streams


SOURCES = UNPRINTED | {
    "dropout": "our choice", "weight_decay": "AdamW's default", "clip": "our choice", "normalise": "our choice",
    "gate": "our choice", "ffn": "the paper's set-up", "pool": "the paper's size of O", "padding": "our choice",
    "shared_encoders": "our choice", "gelu_logits": "our choice",
}  # fmt: skip
"""Where a default is from that the paper does not print."""
ABLATIONS = ("path", "dst", "mt", "me")
"""What the paper leaves out itself, row by row."""
ENCODERS = {"speech": "hubert-large", "text": "bert-base", "speaker": "ecapa"}
SPECTROGRAM = "log-mel"


def deviations(config: Config, inputs: Sequence[Input]) -> list[str]:
    """In words, where this configuration is not what the paper describes."""
    usual = Config()
    found = [
        f"{one.name} is {getattr(config, one.name)}; {SOURCES.get(one.name, 'the paper')} has {getattr(usual, one.name)}"
        for one in fields(config)
        if one.name not in {*ABLATIONS, *NO_NUMBER, "hidden"} and getattr(config, one.name) != getattr(usual, one.name)
    ]
    if config.feed_forward not in {usual.feed_forward, replace(config, hidden=0).feed_forward}:
        found.append(f"hidden is {config.hidden}; the paper has {usual.feed_forward} for a width of {usual.width}")
    return [*found, *(text for one in inputs for text in _of_input(config, one))]


def _of_input(config: Config, one: Input) -> Iterator[str]:
    """Where an input is not the paper's."""
    kind = role(one)
    expected = SPECTROGRAM if kind == "speech" and not config.me else ENCODERS[kind]
    if one.encoder != expected:
        yield f"{one.name}: made by {one.encoder}; the paper has {expected} for {kind}"
    if one.layers != one.all_layers[-1:]:
        yield f"{one.name}: layer {', '.join(map(str, one.layers))}; our choice, where the paper says nothing, is the last"
    if "@" in one.level:
        yield f"{one.name}: rows are of {one.level}; the paper has frames and tokens"
    elif kind == "text" and one.level == "utterance":
        yield f"{one.name}: one row per utterance; the paper has rows in time"

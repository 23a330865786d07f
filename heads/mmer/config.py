"""The settings of MMER, with every choice on which paper and released code differ."""

from dataclasses import dataclass
from typing import Literal

from emocache.errors import UsageError
from heads.config import Normalise, Optimiser, Training
from heads.mmer.losses import Scl

Network = Literal["fusion", "pooled"]
Adapter = Literal["transformer", "linear", "none"]
Projection = Literal["after", "before"]
Order = Literal["RQ", "QR"]
Contrast = Literal["classified", "fused"]


@dataclass(frozen=True, kw_only=True)
class Config(Training):
    """The architecture of the released code, trained as the paper says; SOURCES names what the paper does not print."""

    optimiser: Optimiser = "adamw"
    lr: float = 1e-5
    weight_decay: float = 0.01
    batch: int = 4
    accumulate: int = 4
    epochs: int = 100
    patience: int = 100
    clip: float = 0.0
    normalise: Normalise = "none"
    network: Network = "fusion"
    """The multimodal dynamic fusion network, or for baselines each input's maxima over time and a single linear layer."""
    width: int = 768
    """The common size d; inputs of another are projected to it."""
    heads: int = 12
    hidden: int = 3072
    """Width of the feed-forward layers."""
    dropout: float = 0.1
    """On attention probabilities, after attention and after each feed-forward layer, on text, and on speech before CTC."""
    audio_frames: int = 656
    """Rows of speech that are looked at: wav2vec 2.0's of the 210,000 samples that the released code keeps."""
    adapter: Adapter = "transformer"
    """What is trained in the place of wav2vec 2.0's transformer, before CTC, cross-modal blocks and pooling: one such layer, a
    linear layer with LayerNorm, or nothing, and then CTC cannot change what is said of emotion."""
    text_layer: bool = True
    """The self-attention layer over text, which the released code has and the paper has not."""
    audio_projections: bool = True
    """Linear layers on speech before blocks B and D, likewise."""
    projection: Projection = "after"
    """[R; Q] is made as wide as d after the maxima over time, as released, or before them, as in the paper."""
    order: Order = "RQ"
    """What is joined: [R; Q] as released, [Q; R] as in the paper."""
    contrast: Contrast = "classified"
    """What SCL and ACL compare: what the classifier is given, as released, or the fused part of it (M), as in the paper."""
    scl: Scl = "release"
    """SCL as released, as Khosla et al. have it, which the paper cites ('supcon'), or as its Algorithm 1."""
    alpha: float = 0.1
    """Weight of CTC; with 0 it is not built, nor are the others with theirs."""
    beta: float = 0.1
    """Weight of SCL."""
    gamma: float = 0.1
    """Weight of ACL."""
    bank: int = 0
    """Earlier utterances that SCL and ACL compare with too: the paper names the large batches that these want as its limitation."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        super().__post_init__()
        self.expect(1, 1_000_000, "width", "heads", "hidden")
        self.expect(8, 1_000_000, "audio_frames")
        self.expect(0, 1_000_000, "bank")
        self.expect(0, 1000, "alpha", "beta", "gamma")
        self.expect_shares("dropout")
        if self.width % self.heads:
            raise UsageError(f"width is {self.width}, and {self.heads} heads want a multiple of {self.heads}")
        if self.audio_frames % 8:
            raise UsageError(f"audio_frames is {self.audio_frames}, expected a multiple of 8")

    @property
    def draws_views(self) -> bool:
        """ACL compares with these."""
        return self.gamma > 0

"""eGeMAPS v02 (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set"), computed by openSMILE.

    egemaps       88 functionals, one row per utterance
    egemaps-lld   25 low-level descriptors, a row every 10 ms, smoothed over three frames

openSMILE's longest window is 60 ms: shorter audio gives no row, and n samples give floor((n - 960) / 160) + 2 frames.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache.encoders.base import Batching, Encoder
from emocache.encoders.frames import Waveform
from emocache.encoders.spectrogram import NO_WEIGHTS
from emocache.errors import EncoderError
from emocache.types import SAMPLE_RATE, Utterance

SHORTEST = 60 * SAMPLE_RATE // 1000
"""Samples of openSMILE's longest window."""
HOP = SAMPLE_RATE // 100


class FunctionalsEncoder(Encoder):
    """The 88 functionals. openSMILE runs while an utterance is prepared: it needs no device, and knows no batches."""

    modality = "audio"
    native = "utterance"
    family = "egemaps"
    layers = (0,)
    dim = 88
    weights = NO_WEIGHTS
    preprocessing = f"{SAMPLE_RATE} Hz mono, samples as they are"
    batching: Batching = "padded"
    level = "Functionals"

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        opensmile = _opensmile()
        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=getattr(opensmile.FeatureLevel, self.level)
        )
        self.names = tuple(self._smile.feature_names)
        self.configuration = f"eGeMAPSv02 {self.level} of opensmile {version('opensmile')}"

    def rows(self, utterance: Utterance) -> int:
        """One, unless the audio is too short."""
        return int((utterance.samples or 0) >= SHORTEST)

    def prepare(self, value: Waveform) -> NDArray[np.float32]:
        """The features, [rows, dim]."""
        values: NDArray[np.float32] = np.asarray(self._smile(value, SAMPLE_RATE), np.float32)[0].T
        return values

    def forward(self, batch: Sequence[NDArray[np.float32]], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, rows, dim] for each utterance."""
        return [torch.from_numpy(np.stack([values] * len(layers))).to(self.device) for values in batch]


class DescriptorsEncoder(FunctionalsEncoder):
    """The 25 low-level descriptors."""

    native = "frames"
    family = "egemaps-lld"
    dim = 25
    hop = HOP
    level = "LowLevelDescriptors"

    def rows(self, utterance: Utterance) -> int:
        """A frame every 10 ms."""
        samples = utterance.samples or 0
        return (samples - SHORTEST) // HOP + 2 if samples >= SHORTEST else 0


def _opensmile() -> Any:
    """The package, which comes with an extra: its licence allows research alone."""
    try:
        import opensmile
    except ImportError:
        raise EncoderError("eGeMAPS needs openSMILE: pip install 'emocache[opensmile]' (its licence allows research alone)") from None
    return opensmile

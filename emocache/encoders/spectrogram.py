"""Spectrograms, cached like any encoder's frames: log-mel, and the 140 x 140 image of EmotionNAS (Sun, Lian et al. 2023).

Nothing here has weights: the parameters below are the whole of it, and the key says them in words.

    log-mel          frame l is made of samples [hop l, hop l + window) alone: floor((n - window) / hop) + 1 frames
    spectrogram-140  always 140 rows, of the first 8 s: cut there, or zeros after the end

EmotionNAS, section 3.2: 8 s at 16 kHz, 25 ms Hamming windows with 14 ms overlap, "140-dimensional features", average
pooling without overlap from 728 frames to 140. What it leaves open is filled so: frames are centred, as librosa does by
default, with zeros beyond both ends; the 140 are the lowest of 201 FFT bins (0 to 5.56 kHz; spectrogram-140-mel has 140 mel
bands instead), in dB, no lower than 80 dB below the loudest, as librosa's; zero mean and unit variance over the 8 s, padding
included; then row i is the mean of frames floor(728 i / 140) up to floor(728 (i + 1) / 140): every frame counts once.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emocache.encoders.base import Batching, Encoder, rows_of, to_device
from emocache.encoders.frames import Waveform, conv_frames, padded
from emocache.types import SAMPLE_RATE, Utterance

NO_WEIGHTS = "none"
"""In the key of what is computed from samples alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogMel:
    """Parameters of log-mel frames: bands on Slaney's scale, window and hop in samples, the floor of the power."""

    bands: int = 80
    window: int = 400
    hop: int = 160
    floor: float = 1e-10

    def __str__(self) -> str:
        return (
            f"log-mel: ln(max(x, {self.floor:g})) of {self.bands} Slaney bands over the power of {self.window}-sample "
            f"Hann windows every {self.hop}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """Parameters of EmotionNAS's spectrogram; window and hop in samples."""

    seconds: int = 8
    window: int = 400
    hop: int = 176
    side: int = 140
    range_db: float = 80.0

    @property
    def samples(self) -> int:
        """What is looked at of an utterance."""
        return self.seconds * SAMPLE_RATE


class LogMelEncoder(Encoder):
    """Log-mel frames."""

    modality = "audio"
    native = "frames"
    family = "log-mel"
    layers = (0,)
    weights = NO_WEIGHTS
    preprocessing = f"{SAMPLE_RATE} Hz mono, samples as they are"
    batching: Batching = "padded"

    def __init__(self, device: torch.device, precision: str, settings: LogMel | None = None) -> None:
        super().__init__(device, precision)
        self._set = settings or LogMel()
        self.dim, self.hop, self.configuration = self._set.bands, self._set.hop, str(self._set)
        self.centre = self._set.window // 2
        self._window = torch.hann_window(self._set.window, device=device)
        self._filters = _mel_filters(self._set.window, self._set.bands, device)

    def rows(self, utterance: Utterance) -> int:
        """Windows that lie wholly inside."""
        return self._frames(utterance.samples or 0)

    def prepare(self, value: Waveform) -> Waveform:
        """The waveform as it is."""
        return value

    def forward(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, frames, bands] for each waveform."""
        with self.computing():
            samples = to_device(padded(batch), self.device)
            spectrum = torch.stft(samples, self._set.window, self._set.hop, window=self._window, center=False, return_complex=True)
            states = (self._filters @ spectrum.abs().square()).clamp_min(self._set.floor).log().transpose(1, 2)
            return [rows_of([states] * len(layers), i, self._frames(len(wave))) for i, wave in enumerate(batch)]

    def _frames(self, samples: int) -> int:
        return conv_frames(samples, [self._set.window], [self._set.hop])


class ImageEncoder(Encoder):
    """EmotionNAS's 140 x 140 spectrogram: 140 rows in time, each of 140 frequencies."""

    modality = "audio"
    native = "frames"
    family = "spectrogram-140"
    layers = (0,)
    weights = NO_WEIGHTS
    batching: Batching = "padded"
    bands = "lowest FFT bins"

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        self._set = Image()
        frames = self._set.samples // self._set.hop + 1
        self._edges = [i * frames // self._set.side for i in range(self._set.side + 1)]
        self._window = torch.hamming_window(self._set.window, device=device)
        self.dim = self._set.side
        self.hop = round(frames / self._set.side * self._set.hop)  # on average
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, cut or zero-padded to {self._set.seconds} s"
        self.configuration = (
            f"spectrogram: {self._set.side} {self.bands} of centred {self._set.window}-sample Hamming windows every {self._set.hop}, dB "
            f"down to -{self._set.range_db:g} of the peak, z-normed with the padding, mean-pooled to {self._set.side} rows"
        )

    def rows(self, utterance: Utterance) -> int:
        """Always as many, of any sound."""
        return self._set.side if utterance.samples else 0

    def size(self, utterance: Utterance) -> int:
        """All are brought to one length."""
        return self._set.samples

    def note(self, utterance: Utterance) -> str | None:
        """Says when an utterance is cut."""
        return f"cut to {self._set.seconds} s" if (utterance.samples or 0) > self._set.samples else None

    def prepare(self, value: Waveform) -> Waveform:
        """The first 8 s, with zeros where there is less."""
        samples = np.zeros(self._set.samples, np.float32)
        samples[: len(value)] = value[: len(samples)]
        return samples

    def forward(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, 140, 140] for each waveform."""
        with self.computing():
            samples = to_device(torch.from_numpy(np.stack(batch)), self.device)
            spectrum = torch.stft(
                samples, self._set.window, self._set.hop, window=self._window, center=True, pad_mode="constant", return_complex=True
            )
            power = spectrum.abs().square()
            decibels = 10 * self.banded(power).clamp_min(1e-10).log10()
            decibels = decibels.maximum(decibels.amax((1, 2), keepdim=True) - self._set.range_db)
            rows = self.pooled(normed(decibels)).transpose(1, 2)
            return [rows_of([rows] * len(layers), i, self._set.side) for i in range(len(batch))]

    def banded(self, power: Tensor) -> Tensor:
        """[batch, 201, frames] -> [batch, 140, frames]."""
        return power[:, : self._set.side]

    def pooled(self, values: Tensor) -> Tensor:
        """Means over frames [..., frames] -> [..., side]; each frame is in one of them."""
        return torch.stack([values[..., begin:end].mean(-1) for begin, end in itertools.pairwise(self._edges)], dim=-1)


class MelImageEncoder(ImageEncoder):
    """The same of 140 mel bands."""

    family = "spectrogram-140-mel"
    bands = "mel bands"

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        self._filters = _mel_filters(self._set.window, self._set.side, device)

    def banded(self, power: Tensor) -> Tensor:
        """[batch, 201, frames] -> [batch, 140, frames]."""
        return self._filters @ power


def normed(values: Tensor) -> Tensor:
    """Zero mean and unit variance over each utterance [batch, bands, frames]; zeros where all values are the same."""
    centred = values - values.mean((1, 2), keepdim=True)
    return centred / values.std((1, 2), correction=0, keepdim=True).clamp_min(1e-6)


def _mel_filters(window: int, bands: int, device: torch.device) -> Tensor:
    """Triangular filters on Slaney's mel scale, up to half the sample rate: float32 [bands, bins]."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(window // 2 + 1, bands, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(filters.T.astype(np.float32)).to(device)

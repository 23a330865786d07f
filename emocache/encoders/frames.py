"""Frames that a stack of unpadded convolutions gives over samples, and long recordings in windows.

Kernel 400 and hop 320 in all, as most speech encoders have them:

    samples   0        320        640       960      ...
    frame 0   [---------400---------)
    frame 1            [---------400---------)
    frame 2                       [---------400---------)

A frame exists only where all of its samples do: n samples give floor((n - 400) / 320) + 1 frames, and none below 400.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache.encoders.base import Encoder
from emocache.types import SAMPLE_RATE, Utterance

Waveform = NDArray[np.float32]

LONGEST_S = 90
"""Longer recordings are encoded in overlapping windows of this length."""
CONTEXT_S = 5
"""What a window hears beyond the frames that are taken from it, on either side."""
WINDOWED = f"beyond {LONGEST_S} s in windows of {LONGEST_S} s with {CONTEXT_S} s of context"
"""How that is said in a key."""


def conv_frames(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Frames that a stack of unpadded convolutions gives for `samples` samples."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
    return samples


def conv_reach(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame hears of a stack of convolutions."""
    return int(np.dot(np.subtract(kernels, 1), np.cumprod([1, *strides[:-1]]))) + 1


def padded(batch: Sequence[Waveform]) -> Tensor:
    """Waveforms side by side, float32 [batch, samples], with zeros beyond the end of each."""
    values = np.zeros((len(batch), max(len(wave) for wave in batch)), np.float32)
    for row, wave in zip(values, batch, strict=True):
        row[: len(wave)] = wave
    return torch.from_numpy(values)


class FrameEncoder(Encoder):
    """Convolutions over samples, then something that keeps the number of frames."""

    modality = "audio"
    native = "frames"
    kernels: Sequence[int]
    strides: Sequence[int]

    @abstractmethod
    def together(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """One forward pass: for each waveform, float32 [layers, frames, dim]."""

    def rows(self, utterance: Utterance) -> int:
        """What the convolutions give."""
        return self.frames(utterance.samples or 0)

    def note(self, utterance: Utterance) -> str | None:
        """Says when an utterance is encoded in windows."""
        longer = (utterance.samples or 0) > LONGEST_S * SAMPLE_RATE
        return f"longer than {LONGEST_S} s, encoded in overlapping windows" if longer else None

    def forward(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, frames, dim] for each waveform; long ones in windows, whoever is in the batch with them."""
        long = [len(wave) > LONGEST_S * SAMPLE_RATE for wave in batch]
        short = [wave for wave, is_long in zip(batch, long, strict=True) if not is_long]
        with self.computing():
            rest = iter(self.together(short, layers) if short else ())
            return [self._in_windows(wave, layers) if is_long else next(rest) for wave, is_long in zip(batch, long, strict=True)]

    def frames(self, samples: int) -> int:
        """Frames of so many samples."""
        return conv_frames(samples, self.kernels, self.strides)

    def _in_windows(self, wave: Waveform, layers: Sequence[int]) -> Tensor:
        """A long recording in windows that begin on a frame; of each, the frames that are CONTEXT_S away from its borders."""
        total, hop, reach = self.frames(len(wave)), self.hop, conv_reach(self.kernels, self.strides)
        window, context = LONGEST_S * SAMPLE_RATE // hop, CONTEXT_S * SAMPLE_RATE // hop
        parts = []
        with self.hearing(wave):
            for first in range(0, total, window - 2 * context):
                begin, end = max(0, first - context), min(total, first + window - context)
                states = self.together([wave[begin * hop : (end - 1) * hop + reach]], layers)[0]
                parts.append(states[:, first - begin : min(first + window - 2 * context, total) - begin])
        return torch.cat(parts, dim=1)

    def hearing(self, wave: Waveform) -> contextlib.AbstractContextManager[None]:
        """While open, windows of a long recording use what must be known of all of it; by default nothing."""
        return contextlib.nullcontext()

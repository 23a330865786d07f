"""Speech encoders: HuBERT, wav2vec 2.0 and WavLM on raw waveforms, Whisper on log-mel windows.

Frames of the 20 ms encoders (kernel 400, hop 320 in all):

    samples   0        320        640       960      ...
    frame 0   [---------400---------)
    frame 1            [---------400---------)
    frame 2                       [---------400---------)

A frame exists only where all of its samples do: n samples give floor((n - 400) / 320) + 1 frames, and none below 400.
Whisper pads instead: its frame l is centred on sample 320 l, and n samples give ceil(n / 320) frames.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache.encoders.base import Encoder, configuration_digest, from_pretrained, hidden_states, weights_digest
from emocache.errors import EncoderError
from emocache.types import SAMPLE_RATE, Utterance

Waveform = NDArray[np.float32]


def conv_frames(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Frames that a stack of unpadded convolutions gives for `samples` samples."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
    return samples


class SpeechEncoder(Encoder):
    """HuBERT, wav2vec 2.0, WavLM and models built like them: convolutions over samples, then a transformer."""

    modality = "audio"
    native = "frames"

    def __init__(self, folder: str, config: Any, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from transformers import AutoModel

        if getattr(config, "add_adapter", False):
            raise EncoderError(f"{folder}: has a convolutional adapter after its blocks, which changes the frame rate; not supported")
        self._extract = feature_extractor(folder)
        self._model = from_pretrained(AutoModel, folder, config.model_type).to(device)
        self._blocks = self._model.encoder.layers
        self._kernels, self._strides = config.conv_kernel, config.conv_stride
        self.family = config.model_type
        self.layers = tuple(range(len(self._blocks) + 1))
        self.dim = config.hidden_size
        self.hop = int(np.prod(config.conv_stride))
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(config)
        normalised = "zero mean, unit variance per utterance" if self._extract.do_normalize else "samples as they are"
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, {normalised}"

    def rows(self, utterance: Utterance) -> int:
        """What the convolutions give."""
        return conv_frames(utterance.samples or 0, self._kernels, self._strides)

    def encode(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, frames, dim] for each waveform, each encoded alone."""
        with self.computing():
            return [self._one(wave, layers) for wave in batch]

    def _one(self, wave: Waveform, layers: Sequence[int]) -> Tensor:
        values = self._extract(wave, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        return hidden_states(self._model, self._blocks, layers, input_values=values.to(self.device))[:, 0]


class WhisperEncoder(Encoder):
    """Whisper's encoder: log-mel of 30 s windows, zero-padded; frames beyond the end of the audio are cut off.

    ceil(n / 320) frames for n samples. Audio longer than a window is encoded in windows that follow one another.
    """

    modality = "audio"
    native = "frames"
    family = "whisper"

    def __init__(self, folder: str, config: Any, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from transformers import WhisperModel

        self._extract = feature_extractor(folder)
        self._model = from_pretrained(WhisperModel, folder, "whisper").encoder.to(device)
        self._blocks = self._model.layers
        self.hop = 2 * self._extract.hop_length  # the second convolution has stride 2
        self._window = config.max_source_positions * self.hop
        self.layers = tuple(range(len(self._blocks) + 1))
        self.dim = config.d_model
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(
            config, self._extract.n_fft, self._extract.hop_length, self._extract.feature_size, self._extract.dither
        )
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, log-mel of consecutive {self._window / SAMPLE_RATE:g} s windows"

    def rows(self, utterance: Utterance) -> int:
        """One frame for every 20 ms begun."""
        return -(-(utterance.samples or 0) // self.hop)

    def note(self, utterance: Utterance) -> str | None:
        """Says when an utterance is longer than one window."""
        longer = (utterance.samples or 0) > self._window
        return f"longer than {self._window / SAMPLE_RATE:g} s, encoded in consecutive windows" if longer else None

    def encode(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, frames, dim] for each waveform; windows all have one length, so they go through together."""
        windows = [wave[start : start + self._window] for wave in batch for start in range(0, len(wave), self._window)]
        mels = [self._extract(window, sampling_rate=SAMPLE_RATE, max_length=self._window, return_tensors="pt") for window in windows]
        with self.computing():
            inputs = torch.cat([mel.input_features for mel in mels]).to(self.device)
            states = hidden_states(self._model, self._blocks, layers, input_features=inputs)
        cropped = iter([states[:, i, : -(-len(window) // self.hop)] for i, window in enumerate(windows)])
        return [torch.cat([next(cropped) for _ in range(0, len(wave), self._window)], dim=1) for wave in batch]


def feature_extractor(folder: str) -> Any:
    """The checkpoint's own feature extractor: it decides how a waveform is scaled, so it is never guessed."""
    from transformers import AutoFeatureExtractor

    try:
        extract = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise EncoderError(f"{folder}: no preprocessor_config.json that can be read; save the model's feature extractor there") from error
    if extract.sampling_rate != SAMPLE_RATE:
        raise EncoderError(f"{folder}: wants audio at {extract.sampling_rate} Hz; only {SAMPLE_RATE} Hz models are supported")
    return extract

"""Speech encoders: HuBERT, wav2vec 2.0 and WavLM on raw waveforms, Whisper on log-mel windows.

Frames of the 20 ms encoders exist only where all of their samples do (see frames.py). Whisper pads instead: its frame l
is centred on sample 320 l, and n samples give ceil(n / 320) frames.

Waveforms of several lengths go through together, padded with zeros, and nobody's rows change. Three things see to it:
the attention mask; the group norm of base models, which would average over the padding, is applied to each utterance by
itself; and every positional convolution sees zeros beyond the end, as it does alone.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emocache.encoders.base import (
    AS_IT_LIES,
    Batching,
    Encoder,
    configuration_digest,
    from_pretrained,
    hidden_states,
    rows_of,
    to_device,
    weights_digest,
)
from emocache.encoders.frames import LONGEST_S, WINDOWED, FrameEncoder, Waveform, conv_frames, conv_reach, padded
from emocache.errors import EncoderError, UsageError
from emocache.types import SAMPLE_RATE, Utterance

PADDED = ("hubert", "wav2vec2", "wavlm", "unispeech-sat", "unispeech", "data2vec-audio")
"""Families that the tests prove exact in padded batches; others are batched at equal length alone."""


class SpeechEncoder(FrameEncoder):
    """HuBERT, wav2vec 2.0, WavLM and models built like them: convolutions over samples, then a transformer."""

    def __init__(self, folder: str, config: Any, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from transformers import AutoModel

        if getattr(config, "add_adapter", False):
            raise EncoderError(f"{folder}: has a convolutional adapter after its blocks, which changes the frame rate; not supported")
        self._extract = feature_extractor(folder)
        self._model = from_pretrained(AutoModel, folder, config.model_type).to(device)
        self._blocks = self._model.encoder.layers
        self.kernels, self.strides = config.conv_kernel, config.conv_stride
        self.family = config.model_type
        self.layers = tuple(range(len(self._blocks) + 1))
        self.dim = config.hidden_size
        self.hop = int(np.prod(config.conv_stride))
        self.centre = conv_reach(self.kernels, self.strides) // 2
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(config)
        normalised = "zero mean, unit variance per utterance" if self._extract.do_normalize else "samples as they are"
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, {normalised}, {WINDOWED}"
        exact = config.model_type in PADDED and not getattr(config, "conv_pos_batch_norm", False)
        self.batching = "padded" if exact else "equal"
        self._valid = _ValidFrames(self._model)

    def prepare(self, value: Waveform) -> Waveform:
        """The waveform, scaled as the checkpoint wants it."""
        scaled: Waveform = self._extract(value, sampling_rate=SAMPLE_RATE, return_tensors="np").input_values[0]
        return scaled

    def together(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """One forward pass."""
        samples = [len(wave) for wave in batch]
        inputs = {"input_values": to_device(padded(batch), self.device)}
        if len(set(samples)) > 1:
            inputs["attention_mask"] = (torch.arange(max(samples)) < torch.tensor(samples)[:, None]).to(self.device)
        first = [conv_frames(n, self.kernels[:1], self.strides[:1]) for n in samples]
        with self._valid.of(first, [self.frames(n) for n in samples]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # WavLM of transformers has masks of two types
            states = hidden_states(self._model, self._blocks, layers, **inputs)
        return [rows_of(states, i, self.frames(n)) for i, n in enumerate(samples)]

    @contextlib.contextmanager
    def hearing(self, wave: Waveform) -> Iterator[None]:
        """The group norm of base models with the statistics of the whole recording: of every channel of the first convolution."""
        if (norm := self._valid.norm) is None:
            yield
            return
        norm.whole = self._channel_moments(wave)
        try:
            yield
        finally:
            norm.whole = None

    def _channel_moments(self, wave: Waveform) -> tuple[Tensor, Tensor]:
        """Mean and variance over time of the first convolution's channels, each float32 [channels], a stretch at a time."""
        kernel, stride = self.kernels[0], self.strides[0]
        total, step = conv_frames(len(wave), [kernel], [stride]), LONGEST_S * SAMPLE_RATE // stride
        count, mean, squares = 0, 0.0, 0.0
        for first in range(0, total, step):
            last = min(total, first + step)
            part = torch.from_numpy(wave[None, None, first * stride : (last - 1) * stride + kernel])
            states = self._model.feature_extractor.conv_layers[0].conv(part.to(self.device))[0].double()
            new, away = last - first, states.mean(1) - mean
            squares = squares + states.var(1, correction=0) * new + away.square() * count * new / (count + new)
            mean = mean + away * new / (count + new)
            count += new
        return torch.as_tensor(mean).float(), torch.as_tensor(squares / count).float()


class _ValidFrames:
    """Keeps padding out of what a speech model computes over time; alone, an utterance goes through the model as it is."""

    def __init__(self, model: Any) -> None:
        self.first: list[int] = []
        self.norm: _PerUtterance | None = None
        self._frames: list[int] = []
        first = model.feature_extractor.conv_layers[0]
        if isinstance(getattr(first, "layer_norm", None), nn.GroupNorm):
            first.layer_norm = self.norm = _PerUtterance(first.layer_norm, self)
        for layer in getattr(model.encoder.pos_conv_embed, "layers", ()):  # data2vec has several, each with a norm behind it
            layer.register_forward_pre_hook(self._silence)

    @contextlib.contextmanager
    def of(self, first: list[int], frames: list[int]) -> Iterator[None]:
        """A batch whose members have so many outputs of the first convolution, and so many frames."""
        self.first, self._frames = (first, frames) if len(set(frames + first)) > 1 and len(first) > 1 else ([], [])
        yield
        self.first, self._frames = [], []

    def _silence(self, _: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Zeros [batch, dim, time] beyond the end of each."""
        if not self._frames:
            return None
        states = args[0].clone()
        for state, frames in zip(states, self._frames, strict=True):
            state[:, frames:] = 0
        return states, *args[1:]


class _PerUtterance(nn.Module):
    """A group norm over time, applied to the valid part of each utterance by itself."""

    def __init__(self, norm: nn.GroupNorm, valid: _ValidFrames) -> None:
        super().__init__()
        self.norm = norm
        self.whole: tuple[Tensor, Tensor] | None = None
        """Mean and variance of each channel, where a window is part of a longer recording."""
        self._valid = valid

    def forward(self, states: Tensor) -> Tensor:
        """[batch, channels, time]; zeros beyond the end of each."""
        if self.whole is not None:
            mean, variance = self.whole
            return F.batch_norm(states, mean, variance, self.norm.weight, self.norm.bias, eps=self.norm.eps)
        if not self._valid.first:
            normed: Tensor = self.norm(states)
            return normed
        out = torch.zeros_like(states)
        for i, length in enumerate(self._valid.first):
            out[i, :, :length] = self.norm(states[i : i + 1, :, :length])[0]
        return out


MOST_WINDOWS = 16
"""Windows of Whisper that go through together; a long recording has many."""


class WhisperEncoder(Encoder):
    """Whisper's encoder: log-mel of 30 s windows, zero-padded; frames beyond the end of the audio are cut off.

    ceil(n / 320) frames for n samples. Audio longer than a window is encoded in windows that follow one another. A window
    shorter than 30 s saves most of the work on short utterances, but is not what the model was trained on: it is used
    only when asked for, and part of the key.
    """

    modality = "audio"
    native = "frames"
    family = "whisper"
    batching: Batching = "padded"
    centre = 0

    def __init__(self, folder: str, config: Any, device: torch.device, precision: str, window_s: float | None = None) -> None:
        super().__init__(device, precision)
        from transformers import WhisperModel

        self._extract = feature_extractor(folder)
        self._extract.dither = 0.0  # noise that would be another one in every run
        self._model = from_pretrained(WhisperModel, folder, "whisper").encoder.to(device)
        self._blocks = self._model.layers
        self.hop = 2 * self._extract.hop_length  # the second convolution has stride 2
        self.layers = tuple(range(len(self._blocks) + 1))
        self.dim = config.d_model
        self.weights = weights_digest(self._model)
        if window_s is not None:
            _shorten(self._model, window_s, SAMPLE_RATE // self.hop)
        self._window = self._model.config.max_source_positions * self.hop
        self.configuration = configuration_digest(
            self._model.config, self._extract.n_fft, self._extract.hop_length, self._extract.feature_size, self._extract.dither
        )
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, log-mel of consecutive {self._window / SAMPLE_RATE:g} s windows"

    def rows(self, utterance: Utterance) -> int:
        """One frame for every 20 ms begun."""
        return -(-(utterance.samples or 0) // self.hop)

    def note(self, utterance: Utterance) -> str | None:
        """Says when an utterance is longer than one window."""
        longer = (utterance.samples or 0) > self._window
        return f"longer than {self._window / SAMPLE_RATE:g} s, encoded in consecutive windows" if longer else None

    def size(self, utterance: Utterance) -> int:
        """Whole windows."""
        whole: int = -(-(utterance.samples or 0) // self._window) * self._window
        return whole

    def prepare(self, value: Waveform) -> tuple[Tensor, list[int]]:
        """Log-mel [windows, bands, time], and the frames that count in each window."""
        windows = [value[start : start + self._window] for start in range(0, len(value), self._window)]
        mels = [self._extract(window, sampling_rate=SAMPLE_RATE, max_length=self._window, return_tensors="pt") for window in windows]
        return torch.cat([mel.input_features for mel in mels]), [-(-len(window) // self.hop) for window in windows]

    def forward(self, batch: Sequence[tuple[Tensor, list[int]]], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, frames, dim] for each waveform; windows all have one length, so they go through together."""
        mels = torch.cat([mel for mel, _ in batch])
        with self.computing():
            groups = [
                hidden_states(self._model, self._blocks, layers, input_features=to_device(part, self.device))
                for part in torch.split(mels, MOST_WINDOWS)
            ]
        frames = [count for _, counts in batch for count in counts]
        rows = iter([rows_of(groups[i // MOST_WINDOWS], i % MOST_WINDOWS, count) for i, count in enumerate(frames)])
        return [torch.cat([next(rows) for _ in counts], dim=1) for _, counts in batch]


def _shorten(model: Any, window_s: float, rate: int) -> None:
    """Let a Whisper encoder take windows of `window_s` seconds at `rate` frames a second: its first positions are kept."""
    longest = model.config.max_source_positions / rate
    if not 0 < window_s <= longest:
        raise UsageError(f"--window {window_s:g}: expected seconds up to {longest:g}")
    positions = round(window_s * rate)
    if abs(positions - window_s * rate) > 1e-6:
        raise UsageError(f"--window {window_s:g}: expected a multiple of {1 / rate:g} s")
    model.config.max_source_positions = model.max_source_positions = positions
    model.embed_positions = nn.Embedding(positions, model.config.d_model, _weight=model.embed_positions.weight[:positions])


def feature_extractor(folder: str) -> Any:
    """The checkpoint's own feature extractor: it decides how a waveform is scaled, so it is never guessed."""
    from transformers import AutoFeatureExtractor

    try:
        extract = AutoFeatureExtractor.from_pretrained(folder, **AS_IT_LIES)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(
            f"{folder}: no preprocessor_config.json that can be read; copy there that of the model it was trained from"
        ) from error
    if extract.sampling_rate != SAMPLE_RATE:
        raise EncoderError(f"{folder}: wants audio at {extract.sampling_rate} Hz; only {SAMPLE_RATE} Hz models are supported")
    return extract

"""wav2vec 1.0 (Schneider et al. 2019, "wav2vec: Unsupervised Pre-training for Speech Recognition"), without fairseq.

Two stacks of convolutions; a frame every 10 ms:

    z = log(1 + |encoder(samples)|)      layer 0, 7 layers in the large model: convolution, norm, ReLU
    c = aggregator(z)                    layer 1, 12 layers: convolution over the past alone, norm, ReLU,
                                         and then x <- sqrt(residual_scale) * (layer(x) + x)

The norm is a group norm of one group: over all channels and all of an utterance's time. In a padded batch it is applied to
each utterance by itself; the encoder is unpadded and the aggregator causal, so nothing else can hear the padding.

The checkpoint is fairseq's own (wav2vec_large.pt), or the same written as plain dictionaries by s3prl. What it says of
itself decides the architecture; what is not known here is refused rather than left out.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emocache.encoders import pickled
from emocache.encoders.base import Batching, configuration_digest, rows_of, to_device, weights_digest
from emocache.encoders.frames import WINDOWED, FrameEncoder, Waveform, conv_frames, conv_reach, padded
from emocache.encoders.notation import Layers, convolutions
from emocache.errors import EncoderError
from emocache.files import first_line
from emocache.types import SAMPLE_RATE

FIRST_WEIGHT = "feature_extractor.conv_layers.0.0.weight"
"""A tensor that every wav2vec 1.0 checkpoint has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """What a checkpoint says of its two stacks, by fairseq's names."""

    conv_feature_layers: Layers
    conv_aggregator_layers: Layers
    skip_connections_agg: bool
    residual_scale: float
    log_compression: bool
    agg_zero_pad: bool = False
    no_conv_bias: bool = False
    non_affine_group_norm: bool = False
    activation: str = "relu"


WITHOUT = {"vq_type": "none", "aggregator": "cnn", "skip_connections_feat": False}
"""Parts that other models of fairseq's class have; only those without them are supported."""
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class Wav2Vec1Encoder(FrameEncoder):
    """Layer 0 is the encoder's output z, layer 1 the aggregator's output c: the feature that others use."""

    family = "wav2vec"
    layers = (0, 1)
    batching: Batching = "padded"
    preprocessing = f"{SAMPLE_RATE} Hz mono, samples as they are, {WINDOWED}, group norms within each"

    def __init__(self, path: Path, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        settings, tensors = _read(path)
        built = _architecture(settings, path)
        self._model = _Wav2Vec(built)
        try:
            self._model.load_state_dict({_renamed(name): tensor for name, tensor in tensors.items() if name.startswith("feature_")})
        except RuntimeError as error:
            raise EncoderError(f"{path}: its tensors are not those of the architecture it names") from error
        self._model.eval().requires_grad_(False).to(device)
        _, self.kernels, self.strides = zip(*built.conv_feature_layers, strict=True)
        self.dim = built.conv_aggregator_layers[-1][0]
        self.hop = int(np.prod(self.strides))
        self.centre = conv_reach(self.kernels, self.strides) // 2
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(None, asdict(built))

    def prepare(self, value: Waveform) -> Waveform:
        """The waveform as it is: wav2vec 1.0 was trained on samples that nobody normalised."""
        return value

    def together(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """One forward pass."""
        samples = [len(wave) for wave in batch]
        frames = [self.frames(n) for n in samples]
        z = self._model.z(to_device(padded(batch), self.device), samples)
        states = [z, self._model.c(z, frames)] if 1 in layers else [z]
        chosen = [states[layer].transpose(1, 2) for layer in layers]
        return [rows_of(chosen, i, count) for i, count in enumerate(frames)]


class _Layer(nn.Module):
    """Convolution, norm over each utterance by itself, activation."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, bias: bool, built: Architecture) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(before, after, kernel, stride, bias=bias)
        self.norm = nn.GroupNorm(1, after, affine=not built.non_affine_group_norm)
        self.activation = ACTIVATIONS[built.activation]()

    def forward(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """[batch, channels, time]; of each, `lengths` outputs of the convolution are valid, and zeros follow."""
        x = self.convolution(x)
        if min(lengths) == x.shape[2]:
            return self.activation(self.norm(x))  # type: ignore[no-any-return]
        time = x.shape[2]
        alone = [self.norm(x[i : i + 1, :, :length]) for i, length in enumerate(lengths)]
        return self.activation(torch.cat([functional.pad(one, (0, time - one.shape[2])) for one in alone]))  # type: ignore[no-any-return]


class _Wav2Vec(nn.Module):
    """Both stacks."""

    def __init__(self, built: Architecture) -> None:
        super().__init__()
        self.built = built
        self.encoder, before = nn.ModuleList(), 1
        for after, kernel, stride in built.conv_feature_layers:
            self.encoder.append(_Layer(before, after, kernel, stride, False, built))
            before = after
        self.aggregator = nn.ModuleList(
            _Layer(before, after, kernel, 1, not built.no_conv_bias, built) for after, kernel, _ in built.conv_aggregator_layers
        )

    def z(self, samples: Tensor, lengths: Sequence[int]) -> Tensor:
        """[batch, samples], `lengths` of them valid -> [batch, channels, frames]."""
        x = samples[:, None]
        for layer, (_, kernel, stride) in zip(self.encoder, self.built.conv_feature_layers, strict=True):
            lengths = [conv_frames(length, [kernel], [stride]) for length in lengths]
            x = layer(x, lengths)
        return (1 + x.abs()).log() if self.built.log_compression else x

    def c(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """[batch, channels, frames] of z, `lengths` of them valid -> the same shape; each frame hears itself and those before."""
        for layer, (_, kernel, _) in zip(self.aggregator, self.built.conv_aggregator_layers, strict=True):
            past = functional.pad(x, (kernel - 1, 0), mode="constant" if self.built.agg_zero_pad else "replicate")
            y = layer(past, lengths)
            x = (y + x) * self.built.residual_scale**0.5 if self.built.skip_connections_agg else y
        return x


FAIRSEQ_NAMES = (
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"encoder.\1.convolution."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.", r"encoder.\1.norm."),
    (r"^feature_aggregator\.conv_layers\.(\d+)\.1\.", r"aggregator.\1.convolution."),
    (r"^feature_aggregator\.conv_layers\.(\d+)\.3\.", r"aggregator.\1.norm."),
)
"""fairseq's parameter names and those above."""


def _renamed(name: str) -> str:
    """A parameter's name above."""
    for pattern, replacement in FAIRSEQ_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _read(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """Settings and tensors of a checkpoint, from where fairseq and s3prl keep them."""
    state = pickled.read(path, "a wav2vec 1.0 checkpoint", plain=[argparse.Namespace])
    held = state if isinstance(state, dict) else {}
    tensors = held.get("model_weight") or held.get("model") or {}
    settings = held.get("model_cfg") or held.get("args") or {}
    if FIRST_WEIGHT not in tensors:
        raise EncoderError(f"{path}: is no wav2vec 1.0 checkpoint: it has no {FIRST_WEIGHT}")
    return (vars(settings) if isinstance(settings, argparse.Namespace) else settings), tensors


def _architecture(settings: Mapping[str, Any], path: Path) -> Architecture:
    """What a checkpoint says of itself; EncoderError where it is no wav2vec 1.0, or says too little."""
    for name, expected in WITHOUT.items():
        if settings.get(name, expected) not in (expected, None):
            raise EncoderError(f"{path}: has {name} {settings[name]!r}; only wav2vec 1.0, with {expected!r}, is supported")
    given = {name: settings[name] for name in Architecture.__dataclass_fields__ if settings.get(name) is not None}
    for name in ("conv_feature_layers", "conv_aggregator_layers"):
        if name in given:
            given[name] = convolutions(given[name], f"{path}: {name}")
    try:
        built = Architecture(**given)
    except TypeError as error:
        raise EncoderError(f"{path}: does not say how it is built ({first_line(error)})") from None
    widths = {channels for channels, _, _ in (built.conv_feature_layers[-1], *built.conv_aggregator_layers)}
    if len(widths) > 1 or any(stride != 1 for _, _, stride in built.conv_aggregator_layers) or built.activation not in ACTIVATIONS:
        raise EncoderError(f"{path}: its aggregator changes width or rate, or its activation is unknown; not supported")
    return built

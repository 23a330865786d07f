"""emotion2vec and emotion2vec+ (Ma et al. 2023, "emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation").

Without fairseq or FunASR, from the config.yaml and the .pt file that FunASR's models consist of. It is a data2vec 2.0:

    samples -> 7 convolutions, each with a layer norm and GELU -> linear          one frame every 20 ms
    x <- x + positions(x), five grouped convolutions with a norm and GELU behind each
    learned extra tokens go before the frames, then a norm                        layer 0
    blocks: x <- norm1(x + attention(x)), x <- norm2(x + mlp(x))                  layers 1 to 4 (the prenet), 5 to 12

Attention has the bias of ALiBi (Press et al. 2022), -slope |i - j|, times a learned scale that is never below 0; extra
tokens have none. Rows of extra tokens are left out. In padded batches keys beyond the end are masked, and the positional
convolutions see zeros there, as they do alone.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from emocache.encoders import pickled
from emocache.encoders.base import Batching, configuration_digest, rows_of, to_device, weights_digest
from emocache.encoders.frames import WINDOWED, FrameEncoder, Waveform, conv_reach, padded
from emocache.encoders.notation import Layers, convolutions
from emocache.encoders.snapshot import SETTINGS
from emocache.errors import EncoderError
from emocache.files import first_line
from emocache.types import SAMPLE_RATE

SPEC = "feature_encoder_spec"
KEPT = ("state_dict", "model_state_dict", "model")
"""Where a checkpoint may keep its tensors, each inside the one before."""
PREFIXES = ("d2v_model.", "module.", "")
"""What may stand before their names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """What config.yaml says of a model, by its names."""

    embed_dim: int
    num_heads: int
    mlp_ratio: float
    norm_eps: float
    normalize: bool
    prenet_depth: int
    depth: int
    num_extra_tokens: int
    feature_encoder_spec: Layers
    conv_pos_width: int
    conv_pos_depth: int
    conv_pos_groups: int


class Emotion2vecEncoder(FrameEncoder):
    """Frames of emotion2vec; what it was fine-tuned to say of emotions is not used."""

    family = "emotion2vec"
    batching: Batching = "padded"

    def __init__(self, path: Path, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        built = _architecture(path.parent / SETTINGS)
        self._normalise = built.normalize
        self._model = _Emotion2vec(built)
        self._model.load_state_dict(_tensors(path, self._model, built.prenet_depth))
        self._model.eval().requires_grad_(False).to(device)
        _, self.kernels, self.strides = zip(*built.feature_encoder_spec, strict=True)
        self.hop = int(np.prod(self.strides))
        self.centre = conv_reach(self.kernels, self.strides) // 2
        self.dim = built.embed_dim
        self.layers = tuple(range(built.prenet_depth + built.depth + 1))
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(None, asdict(built))
        normalised = "zero mean, unit variance per utterance" if built.normalize else "samples as they are"
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, {normalised}, {WINDOWED}"

    def prepare(self, value: Waveform) -> Waveform:
        """The waveform, scaled as the checkpoint wants it."""
        if not self._normalise:
            return value
        scaled: Waveform = functional.layer_norm(torch.from_numpy(value), value.shape).numpy()
        return scaled

    def together(self, batch: Sequence[Waveform], layers: Sequence[int]) -> list[Tensor]:
        """One forward pass."""
        frames = [self.frames(len(wave)) for wave in batch]
        states = self._model(to_device(padded(batch), self.device), torch.tensor(frames).to(self.device), max(layers))
        return [rows_of([states[layer] for layer in layers], i, count) for i, count in enumerate(frames)]


class _Emotion2vec(nn.Module):
    """Convolutions, positions, blocks."""

    def __init__(self, built: Architecture) -> None:
        super().__init__()
        channels = [1, *(width for width, _, _ in built.feature_encoder_spec)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, bias=False)
            for before, (after, kernel, stride) in zip(channels, built.feature_encoder_spec, strict=False)
        )
        self.convolution_norms = nn.ModuleList(nn.LayerNorm(width) for width in channels[1:])
        self.project_norm = nn.LayerNorm(channels[-1])
        dim = built.embed_dim
        self.project = nn.Linear(channels[-1], dim)
        kernel = max(3, built.conv_pos_width // built.conv_pos_depth)
        self.positions = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=built.conv_pos_groups) for _ in range(built.conv_pos_depth)
        )
        self.extra_tokens = nn.Parameter(torch.zeros(1, built.num_extra_tokens, dim))
        self.alibi_scale = nn.Parameter(torch.ones(1, 1, built.num_heads, 1, 1))
        self.norm = nn.LayerNorm(dim, built.norm_eps)
        self.blocks = nn.ModuleList(_Block(built) for _ in range(built.prenet_depth + built.depth))

    def forward(self, samples: Tensor, frames: Tensor, highest: int) -> list[Tensor]:
        """[batch, samples], of which `frames` [batch] frames are valid -> layers 0 to `highest`, each [batch, frames, dim]."""
        x = samples[:, None]
        for convolution, norm in zip(self.convolutions, self.convolution_norms, strict=True):
            x = functional.gelu(norm(convolution(x).transpose(1, 2)).transpose(1, 2))
        x = self.project(self.project_norm(x.transpose(1, 2)))
        valid = torch.arange(x.shape[1], device=x.device) < frames[:, None]
        x = x + self._positions(x, valid[..., None])
        extra = self.extra_tokens.shape[1]
        bias = functional.pad(self._alibi(x.shape[1]), (extra, 0, extra, 0))
        if not valid.all():
            heard = functional.pad(valid, (extra, 0), value=True)
            bias = bias.masked_fill(~heard[:, None, None], float("-inf"))
        x = self.norm(torch.cat([self.extra_tokens.expand(len(x), -1, -1), x], dim=1))
        states = [x]
        for block in self.blocks[:highest]:
            states.append(block(states[-1], bias))
        return [state[:, extra:] for state in states]

    def _positions(self, x: Tensor, valid: Tensor) -> Tensor:
        """What is added to each frame for its place [batch, frames, dim]."""
        time = x.shape[1]
        for convolution in self.positions:
            x = convolution((x * valid).transpose(1, 2))[..., :time].transpose(1, 2)  # an even kernel gives one more
            x = functional.gelu(functional.layer_norm(x, x.shape[-1:]))
        return x

    def _alibi(self, time: int) -> Tensor:
        """Bias of attention [1, heads, time, time]."""
        place = torch.arange(time, device=self.alibi_scale.device)
        distance = (place[:, None] - place).abs()
        slope = torch.tensor(slopes(self.alibi_scale.shape[2]), device=place.device)[:, None, None]
        return -slope * distance * self.alibi_scale[0].clamp_min(0)


class _Block(nn.Module):
    """Attention and a perceptron, each with its norm behind the sum."""

    def __init__(self, built: Architecture) -> None:
        super().__init__()
        dim, hidden = built.embed_dim, int(built.embed_dim * built.mlp_ratio)
        self.heads = built.num_heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim, built.norm_eps), nn.LayerNorm(dim, built.norm_eps)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[batch, time, dim]; bias [batch or 1, heads, time, time]."""
        batch, time, dim = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = self.norm1(x + self.out(attended.transpose(1, 2).reshape(batch, time, dim)))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))  # type: ignore[no-any-return]


def slopes(heads: int) -> list[float]:
    """ALiBi's slopes: 2^(-8 h / n) for a power of two n; beyond it, every other slope of 2 n.

    >>> slopes(4), slopes(3)
    ([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
    """
    power = 1 << (heads.bit_length() - 1)
    return [2 ** (-8 * h / power) for h in range(1, power + 1)] + [2 ** (-4 * h / power) for h in range(1, 2 * (heads - power), 2)]


NAMES = (
    (r"^modality_encoders\.AUDIO\.", ""),
    (r"^local_encoder\.conv_layers\.(\d+)\.0\.", r"convolutions.\1."),
    (r"^local_encoder\.conv_layers\.(\d+)\.2\.1\.", r"convolution_norms.\1."),
    (r"^project_features\.1\.", "project_norm."),
    (r"^project_features\.2\.", "project."),
    (r"^context_encoder\.", ""),
    (r"\.attn\.qkv\.", ".qkv."),
    (r"\.attn\.proj\.", ".out."),
    (r"\.mlp\.fc1\.", ".up."),
    (r"\.mlp\.fc2\.", ".down."),
)
"""Published parameter names and those above, but for what is counted from elsewhere."""


def _renamed(name: str, prenet_depth: int) -> str:
    """A parameter's name above."""
    name = re.sub(r"^blocks\.(\d+)", lambda found: f"blocks.{int(found[1]) + prenet_depth}", name)
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"^relative_positional_encoder\.(\d+)\.0\.", lambda found: f"positions.{int(found[1]) - 1}.", name)


def _tensors(path: Path, model: nn.Module, prenet_depth: int) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names above; EncoderError where one is missing or has another shape."""
    held = pickled.read(path, "an emotion2vec checkpoint")
    for key in KEPT:
        held = held[key] if isinstance(held, dict) and key in held else held
    names = list(held) if isinstance(held, dict) else []
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}modality_encoders.AUDIO.extra_tokens" in names), None)
    if prefix is None or any(name.endswith("alibi_bias") for name in names):
        raise EncoderError(f"{path}: is no checkpoint of emotion2vec: other tensors are in it")
    found = {_renamed(name.removeprefix(prefix), prenet_depth): held[name] for name in names if name.startswith(prefix)}
    wanted = model.state_dict()
    wrong = [name for name, tensor in wanted.items() if name not in found or found[name].shape != tensor.shape]
    if wrong:
        raise EncoderError(f"{path}: {len(wrong)} of its tensors are not as {SETTINGS} says (first {wrong[0]})")
    return {name: found[name] for name in wanted}


def _architecture(path: Path) -> Architecture:
    """What config.yaml says; EncoderError where it is of another model, or says too little."""
    kinds = {"mlp_ratio": float, "norm_eps": float, "normalize": bool, SPEC: str}  # YAML takes 1e-05 for a text
    try:
        config: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        said = {**config["model_conf"], **config["model_conf"]["modalities"]["audio"]}
        given: dict[str, Any] = {name: kinds.get(name, int)(said[name]) for name in Architecture.__dataclass_fields__}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path}: does not say how an emotion2vec is built ({first_line(error)})") from error
    given[SPEC] = convolutions(given[SPEC], f"{path}: {SPEC}")
    return Architecture(**given)

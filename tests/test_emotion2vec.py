"""emotion2vec gives what the published model's definition gives, from FunASR's files and without FunASR."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emocache import encoders
from emocache.errors import EncoderError
from emocache.types import Utterance
from tests import checkpoints
from tests.small_corpus import wave

CPU = torch.device("cpu")
SLOPES = (1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8)
"""ALiBi's of six heads: those of four, then the first two that only eight would have."""


def _load(folder: Path) -> encoders.Encoder:
    return encoders.load(encoders.find(str(folder)), CPU)


def _norm(x: np.ndarray, weight: np.ndarray | float = 1.0, bias: np.ndarray | float = 0.0) -> np.ndarray:
    """Over the last axis."""
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + torch.erf(torch.from_numpy(x) / 2**0.5).numpy())


def _convolved(x: np.ndarray, weight: np.ndarray, stride: int = 1, groups: int = 1) -> np.ndarray:
    """[time, channels] -> [time, channels], output by output."""
    inside, kernel = weight.shape[1:]
    per_group = len(weight) // groups
    rows = []
    for start in range(0, len(x) - kernel + 1, stride):
        seen = x[start : start + kernel]
        parts = [
            np.einsum("oik,ki->o", weight[g * per_group : (g + 1) * per_group], seen[:, g * inside : (g + 1) * inside])
            for g in range(groups)
        ]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


class _Published:
    """The published model for one waveform, head by head, in float64."""

    def __init__(self, folder: Path) -> None:
        state = torch.load(folder / "model.pt", weights_only=True)["model"]
        self.t = {name.removeprefix("d2v_model."): tensor.double().numpy() for name, tensor in state.items()}
        self.audio = "modality_encoders.AUDIO"

    def layers(self, sound: np.ndarray) -> list[np.ndarray]:
        t, audio = self.t, self.audio
        x = _norm(sound.astype(np.float64))[:, None]
        for i, stride in enumerate((5, 2, 2, 2, 2, 2, 2)):
            x = _convolved(x, t[f"{audio}.local_encoder.conv_layers.{i}.0.weight"], stride)
            x = _gelu(self.norm(f"{audio}.local_encoder.conv_layers.{i}.2.1", x))
        x = self.linear(f"{audio}.project_features.2", self.norm(f"{audio}.project_features.1", x))
        place = x
        for i in (1, 2, 3):
            name = f"{audio}.relative_positional_encoder.{i}.0"
            padded = np.pad(place, ((2, 2), (0, 0)))
            place = _gelu(_norm(_convolved(padded, t[f"{name}.weight"], groups=4) + t[f"{name}.bias"]))
        x = self.norm(f"{audio}.context_encoder.norm", np.concatenate([t[f"{audio}.extra_tokens"][0], x + place]))
        states = [x]
        for block in (f"{audio}.context_encoder.blocks.0", "blocks.0", "blocks.1"):
            states.append(self.block(block, states[-1]))
        return [state[3:] for state in states]

    def block(self, name: str, x: np.ndarray) -> np.ndarray:
        x = self.norm(f"{name}.norm1", x + self.linear(f"{name}.attn.proj", self.attended(name, x)))
        return self.norm(f"{name}.norm2", x + self.linear(f"{name}.mlp.fc2", _gelu(self.linear(f"{name}.mlp.fc1", x))))

    def attended(self, name: str, x: np.ndarray) -> np.ndarray:
        q, k, v = np.split(self.linear(f"{name}.attn.qkv", x), 3, axis=1)
        frame = np.arange(len(x) - 3)
        heads = []
        for head, slope in enumerate(SLOPES):
            own = slice(8 * head, 8 * head + 8)
            scores = q[:, own] @ k[:, own].T / 8**0.5
            scale = max(0.0, self.t[f"{self.audio}.alibi_scale"].flat[head])
            scores[3:, 3:] -= slope * scale * np.abs(frame[:, None] - frame)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            heads.append(shares / shares.sum(1, keepdims=True) @ v[:, own])
        return np.concatenate(heads, axis=1)

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return _norm(x, self.t[f"{name}.weight"], self.t[f"{name}.bias"])


def test_every_layer_is_what_the_published_definition_gives(tmp_path: Path) -> None:
    folder = checkpoints.emotion2vec(tmp_path / "model")
    encoder, sound = _load(folder), wave(1, 0.5)
    assert (encoder.family, encoder.layers, encoder.dim, encoder.hop) == ("emotion2vec", (0, 1, 2, 3), 48, 320)
    expected = _Published(folder).layers(sound)
    for got, layer in zip(encoder.encode([sound], encoder.layers)[0].numpy(), expected, strict=True):
        np.testing.assert_allclose(got, layer, rtol=1e-3, atol=2e-5)


def test_in_a_batch_every_waveform_gets_what_it_gets_alone(tmp_path: Path) -> None:
    encoder = _load(checkpoints.emotion2vec(tmp_path / "model"))
    assert encoder.batching == "padded"
    sounds = [wave(i, seconds) for i, seconds in enumerate((4.0, 1.1, 1.1, 0.4))]
    for sound, together in zip(sounds, encoder.encode(sounds, encoder.layers), strict=True):
        alone = encoder.encode([sound], encoder.layers)[0]
        assert together.shape[1] == encoder.rows(Utterance(id="a", path="a", samples=len(sound)))
        assert ((together - alone).abs().amax((1, 2)) / alone.abs().amax((1, 2))).max() <= 1e-5


def test_nothing_is_computed_above_the_highest_layer_that_is_wanted(tmp_path: Path) -> None:
    encoder = _load(checkpoints.emotion2vec(tmp_path / "model"))
    ran: list[int] = []
    for number, block in enumerate(encoder._model.blocks, 1):  # type: ignore[attr-defined]
        block.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    every = encoder.encode([wave(1, 0.7)], (0, 1, 2, 3))[0]
    ran.clear()
    assert torch.equal(encoder.encode([wave(1, 0.7)], (0, 2))[0], every[[0, 2]])
    assert ran == [1, 2]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_with_and_without_a_prefix_are_the_same_model(tmp_path: Path, prefix: str) -> None:
    first, second = checkpoints.emotion2vec(tmp_path / "first"), checkpoints.emotion2vec(tmp_path / "second", prefix=prefix)
    assert _load(first).weights == _load(second).weights


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": None}, "does not say how"),
        ({"modalities": {}}, "does not say how an emotion2vec is built"),
        ({"depth": 3}, r"12 of its tensors are not as config\.yaml says"),
        ({"num_heads": 12}, r"1 of its tensors are not as config\.yaml says \(first alibi_scale\)"),
    ],
)
def test_a_checkpoint_that_is_not_as_its_settings_say_is_one_clear_line(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        _load(checkpoints.emotion2vec(tmp_path / "model", **settings))
    assert "\n" not in str(caught.value)


def test_another_checkpoint_beside_a_config_is_one_clear_line(tmp_path: Path) -> None:
    folder = checkpoints.emotion2vec(tmp_path / "model")
    torch.save({"model": {"blocks.0.norm1.weight": torch.ones(2)}}, folder / "model.pt")
    with pytest.raises(EncoderError, match="is no checkpoint of emotion2vec"):
        _load(folder)

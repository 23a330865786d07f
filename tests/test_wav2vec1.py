"""wav2vec 1.0 gives what the published equations give, from a fairseq checkpoint and without fairseq."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache import encoders
from emocache.encoders import wav2vec1
from emocache.errors import EncoderError
from emocache.types import Utterance
from tests import checkpoints
from tests.small_corpus import wave

CPU = torch.device("cpu")


def _load(folder: Path) -> encoders.Encoder:
    return encoders.load(encoders.find(str(folder)), CPU)


def _convolved(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """Sum over channels and kernel, output by output: [channels, time] -> [channels, time]."""
    kernel = weight.shape[2]
    outputs = [
        np.einsum("oik,ik->o", weight, x[:, start : start + kernel]) for start in range(0, x.shape[1] - kernel + 1, stride)
    ]  # fmt: skip
    return np.stack(outputs, axis=1)


def _normed(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Zero mean, unit variance over channels and time together, then scale and shift by channel."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight[:, None] + bias[:, None]


def _published(folder: Path, sound: np.ndarray, *, skip: bool, log: bool, zero_pad: bool) -> tuple[np.ndarray, np.ndarray]:
    """z and c of one waveform, [time, channels], in float64."""
    state = torch.load(folder / "wav2vec_large.pt", weights_only=False)
    tensors = {name: tensor.double().numpy() for name, tensor in (state.get("model") or state["model_weight"]).items()}
    x = sound.astype(np.float64)[None]
    for i, stride in enumerate((5, 4, 2, 2, 2, 1, 1)):
        layer = f"feature_extractor.conv_layers.{i}"
        x = _convolved(x, tensors[f"{layer}.0.weight"], stride)
        x = np.maximum(_normed(x, tensors[f"{layer}.2.weight"], tensors[f"{layer}.2.bias"]), 0)
    z = x = np.log(np.abs(x) + 1) if log else x
    for i, kernel in enumerate((2, 3, 4)):
        layer = f"feature_aggregator.conv_layers.{i}"
        past = np.zeros_like(x[:, :1]) if zero_pad else x[:, :1]
        y = _convolved(np.concatenate([*[past] * (kernel - 1), x], axis=1), tensors[f"{layer}.1.weight"], 1)
        y = _normed(y + tensors[f"{layer}.1.bias"][:, None], tensors[f"{layer}.3.weight"], tensors[f"{layer}.3.bias"])
        y = np.maximum(y, 0)
        x = (y + x) * np.sqrt(0.5) if skip else y
    return z.T, x.T


@pytest.mark.parametrize("layout", ["fairseq", "s3prl"])
@pytest.mark.parametrize(("skip", "log", "zero_pad"), [(True, True, False), (True, True, True), (False, True, False), (True, False, False)])
def test_wav2vec_1_gives_what_the_published_equations_give(tmp_path: Path, layout: str, *, skip: bool, log: bool, zero_pad: bool) -> None:
    said = {"skip_connections_agg": skip, "log_compression": log, "agg_zero_pad": zero_pad}
    folder = checkpoints.wav2vec1(tmp_path / "model", layout=layout, **said)
    sound = wave(1, 0.2)
    expected = _published(folder, sound, skip=skip, log=log, zero_pad=zero_pad)
    for got, layer in zip(_load(folder).encode([sound], (0, 1))[0].numpy(), expected, strict=True):
        np.testing.assert_allclose(got, layer, rtol=1e-4, atol=1e-5)


def test_the_large_model_has_the_published_number_of_parameters() -> None:
    built = wav2vec1._architecture(
        checkpoints.WAV2VEC | {
            "conv_feature_layers": checkpoints.WAV2VEC["conv_feature_layers"].replace("16", "512"),
            "conv_aggregator_layers": str([(512, kernel, 1) for kernel in range(2, 14)]),
        },
        Path("wav2vec_large.pt"),
    )  # fmt: skip
    with torch.device("meta"):
        model = wav2vec1._Wav2Vec(built)
    assert sum(p.numel() for p in model.encoder.parameters()) == 5_779_456
    assert sum(p.numel() for p in model.aggregator.parameters()) == 23_611_392


def test_in_a_batch_every_waveform_gets_what_it_gets_alone(tmp_path: Path) -> None:
    encoder = _load(checkpoints.wav2vec1(tmp_path / "model"))
    assert encoder.batching == "padded"
    sounds = [wave(i, seconds) for i, seconds in enumerate((4.0, 1.1, 1.1, 0.4))]
    for sound, together in zip(sounds, encoder.encode(sounds, (0, 1)), strict=True):
        alone = encoder.encode([sound], (0, 1))[0]
        error = (together - alone).abs().amax((1, 2)) / alone.abs().amax((1, 2))
        assert error.max() <= 1e-5


@pytest.mark.parametrize(("samples", "frames"), [(464, 0), (465, 1), (624, 1), (625, 2), (16_000, 98)])
def test_a_frame_every_160_samples_exists_only_where_its_465_samples_do(tmp_path: Path, samples: int, frames: int) -> None:
    encoder = _load(checkpoints.wav2vec1(tmp_path / "model"))
    assert encoder.hop == 160
    assert encoder.rows(Utterance(id="a", path="a", samples=samples)) == frames
    if frames:
        assert encoder.encode([wave(0, samples / 16_000)], (0, 1))[0].shape == (2, frames, 16)


def test_the_one_plain_type_it_needs_is_allowed_for_this_file_alone(tmp_path: Path) -> None:
    _load(checkpoints.wav2vec1(tmp_path / "model"))
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_a_pickle_that_needs_any_other_type_is_not_run(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(harm=Path("/")), "model": {}}, tmp_path / "wav2vec_large.pt")
    with pytest.raises(EncoderError, match=r"cannot be read as a wav2vec 1.0 checkpoint \(it needs pathlib.PosixPath") as caught:
        _load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vq_type": "gumbel"}, "has vq_type 'gumbel'"),
        ({"aggregator": "gru"}, "has aggregator 'gru'"),
        ({"residual_scale": None}, "does not say how it is built .*residual_scale"),
        ({"conv_feature_layers": "__import__('os').getcwd()"}, "expected a list of"),
        ({"conv_feature_layers": "[(16, 10, 5)]"}, "its tensors are not those of the architecture"),
    ],
)
def test_a_checkpoint_of_another_kind_is_one_clear_line(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        _load(checkpoints.wav2vec1(tmp_path / "model", **settings))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_its_tensors_is_one_clear_line(tmp_path: Path) -> None:
    torch.save({"model": {"encoder.weight": torch.ones(2)}}, tmp_path / "other.pt")
    with pytest.raises(EncoderError, match=r"is no wav2vec 1\.0 checkpoint"):
        _load(tmp_path)

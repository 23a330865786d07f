"""Spectrograms give what a slow loop over numpy's FFT gives; every frame of EmotionNAS's image counts once."""

import numpy as np
import pytest
import torch

from emocache.encoders.spectrogram import ImageEncoder, LogMel, LogMelEncoder, MelImageEncoder, normed
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.types import Utterance
from tests.small_corpus import wave

make_torchaudio_importable()

from transformers.audio_utils import mel_filter_bank  # noqa: E402  # torchaudio must be importable first

CPU = torch.device("cpu")


def _filters(window: int, bands: int) -> np.ndarray:
    return mel_filter_bank(window // 2 + 1, bands, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney").T


def _power(sound: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Power spectrum, window by window: float64 [bins, frames]."""
    starts = range(0, len(sound) - len(window) + 1, hop)
    return np.stack([np.abs(np.fft.rfft(sound[start : start + len(window)] * window)) ** 2 for start in starts], axis=1)


@pytest.mark.parametrize("settings", [LogMel(), LogMel(bands=40, window=512, hop=256)])
def test_log_mel_frames_are_those_of_a_loop_over_windows(settings: LogMel) -> None:
    sound = wave(1, 0.7)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(settings.window) / settings.window)  # Hann, periodic
    mel = _filters(settings.window, settings.bands) @ _power(sound.astype(np.float64), window, settings.hop)
    encoder = LogMelEncoder(CPU, "fp32", settings)
    got = encoder.encode([sound], (0,))[0]
    assert got.dtype == torch.float32
    assert got.shape == (1, encoder.rows(Utterance(id="a", path="a", samples=len(sound))), settings.bands)
    np.testing.assert_allclose(got[0].numpy(), np.log(np.maximum(mel, 1e-10)).T, atol=1e-4)


@pytest.mark.parametrize(("samples", "frames"), [(399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)])
def test_a_log_mel_frame_exists_only_where_all_its_samples_do(samples: int, frames: int) -> None:
    assert LogMelEncoder(CPU, "fp32").rows(Utterance(id="a", path="a", samples=samples)) == frames


@pytest.mark.parametrize("encoder", [LogMelEncoder(CPU, "fp32"), ImageEncoder(CPU, "fp32")])
def test_in_a_batch_every_waveform_gets_what_it_gets_alone(encoder: LogMelEncoder | ImageEncoder) -> None:
    assert encoder.batching == "padded"
    sounds = [wave(i, seconds) for i, seconds in enumerate((4.0, 1.1, 1.1, 0.4))]
    for sound, together in zip(sounds, encoder.encode(sounds, (0,)), strict=True):
        alone = encoder.encode([sound], (0,))[0]
        assert (together - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("mel", [False, True])
@pytest.mark.parametrize("seconds", [2.3, 9.1])
def test_the_image_is_that_of_a_loop_over_centred_windows(seconds: float, *, mel: bool) -> None:
    sound = wave(1, seconds)
    whole = np.zeros(200 + 128_000 + 200)
    whole[200 : 200 + min(len(sound), 128_000)] = sound[:128_000]
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)  # Hamming, periodic
    power = _power(whole, window, 176)
    assert power.shape == (201, 728)
    decibels = 10 * np.log10(np.maximum(_filters(400, 140) @ power if mel else power[:140], 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    decibels = (decibels - decibels.mean()) / decibels.std()
    expected = np.stack([decibels[:, 728 * i // 140 : 728 * (i + 1) // 140].mean(1) for i in range(140)])
    got = (MelImageEncoder if mel else ImageEncoder)(CPU, "fp32").encode([sound], (0,))[0]
    assert got.shape == (1, 140, 140)
    np.testing.assert_allclose(got[0].numpy(), expected, atol=1e-3)


def test_pooling_to_140_keeps_a_constant_and_counts_every_frame_once() -> None:
    encoder = ImageEncoder(CPU, "fp32")
    assert torch.equal(encoder.pooled(torch.full((2, 728), 3.0)), torch.full((2, 140), 3.0))
    counted = torch.autograd.functional.jacobian(lambda frames: encoder.pooled(frames), torch.zeros(728)) > 0
    assert counted.sum(0).eq(1).all()
    assert set(counted.sum(1).tolist()) == {5, 6}


def test_an_image_of_silence_is_all_zeros() -> None:
    assert ImageEncoder(CPU, "fp32").encode([np.zeros(3000, np.float32)], (0,))[0].eq(0).all()
    assert normed(torch.full((1, 2, 3), -7.0)).eq(0).all()


def test_an_utterance_longer_than_the_image_is_noted() -> None:
    encoder = ImageEncoder(CPU, "fp32")
    assert encoder.note(Utterance(id="a", path="a", samples=128_000)) is None
    assert encoder.note(Utterance(id="a", path="a", samples=128_001)) == "cut to 8 s"
    assert encoder.rows(Utterance(id="a", path="a", samples=1)) == 140

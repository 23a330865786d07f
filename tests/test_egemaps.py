"""eGeMAPS is what the opensmile package gives, row for row."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from emocache.encoders.egemaps import DescriptorsEncoder, FunctionalsEncoder
from emocache.errors import EncoderError
from emocache.types import Utterance
from tests.small_corpus import wave

CPU = torch.device("cpu")


def _voice(seconds: float, pitch_hz: float = 150.0) -> np.ndarray:
    """A buzz with a steady pitch."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    return sum(0.2 / k * np.sin(2 * np.pi * k * pitch_hz * time) for k in range(1, 20)).astype(np.float32)


def test_without_the_package_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(EncoderError, match=r"pip install 'emocache\[opensmile\]'"):
        FunctionalsEncoder(CPU, "fp32")


def test_functionals_are_one_row_of_88_named_values() -> None:
    pytest.importorskip("opensmile", reason="the extra `opensmile` is not installed")
    encoder = FunctionalsEncoder(CPU, "fp32")
    row = encoder.encode([_voice(1.0)], (0,))[0]
    assert row.shape == (1, 1, 88)
    assert len(encoder.names) == 88
    pitch_semitones = row[0, 0, encoder.names.index("F0semitoneFrom27.5Hz_sma3nz_amean")]
    assert pitch_semitones == pytest.approx(12 * np.log2(150 / 27.5), abs=0.1)


@pytest.mark.parametrize("samples", [959, 960, 1119, 1120, 16_159, 16_160, 52_853])
def test_descriptors_are_25_values_every_10_ms_as_many_as_foretold(samples: int) -> None:
    pytest.importorskip("opensmile", reason="the extra `opensmile` is not installed")
    encoder = DescriptorsEncoder(CPU, "fp32")
    rows = encoder.rows(Utterance(id="a", path="a", samples=samples))
    assert rows == (0 if samples < 960 else (samples - 960) // 160 + 2)
    assert FunctionalsEncoder(CPU, "fp32").rows(Utterance(id="a", path="a", samples=samples)) == min(rows, 1)
    if rows:
        got = encoder.encode([wave(1, samples / 16_000)], (0,))[0]
        assert got.shape == (1, rows, 25)
        assert got.isfinite().all()


@pytest.mark.parametrize("kind", [FunctionalsEncoder, DescriptorsEncoder])
def test_utterances_prepared_by_several_threads_get_what_they_get_alone(kind: type[FunctionalsEncoder]) -> None:
    pytest.importorskip("opensmile", reason="the extra `opensmile` is not installed")
    encoder = kind(CPU, "fp32")
    sounds = [_voice(seconds, pitch) for seconds, pitch in ((2.0, 120.0), (0.2, 210.0), (0.7, 90.0), (1.3, 300.0))]
    with ThreadPoolExecutor(4) as pool:
        together = encoder.forward(list(pool.map(encoder.prepare, sounds)), (0,))
    for sound, rows in zip(sounds, together, strict=True):
        assert torch.equal(rows, encoder.encode([sound], (0,))[0])

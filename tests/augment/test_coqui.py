"""YourTTS through coqui-tts, whose place a module with the same calls takes here: the package and its weights are not at hand."""

import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from emocache import audio
from emocache.augment import coqui
from emocache.augment.base import Voice
from emocache.errors import AugmentationError, EncoderError
from tests import small_corpus
from tests.augment.toy import corpus
from tests.shell import Shell


class FakeTTS:
    """Calls as of TTS.api.TTS 0.28: noise of 24 kHz around the mean of the voice's first file."""

    def __init__(self, name: str, progress_bar: bool) -> None:
        assert name == coqui.MODEL
        self.synthesizer = SimpleNamespace(output_sample_rate=24_000)
        self.known: dict[str, float] = {}
        self.given: list[object] = []

    def to(self, device: str) -> "FakeTTS":
        return self

    def tts(self, text: str, speaker: str, speaker_wav: list[str] | None, language: str, voice_dir: str) -> list[float]:
        print("reading", text)  # noqa: T201  # as the package does
        if text == "?":
            raise RuntimeError("Kernel size can't be greater than actual input size")
        self.given.append((speaker, speaker_wav and len(speaker_wav), language))
        if speaker_wav:
            self.known[speaker] = float(np.mean([len(soundfile.read(path)[0]) for path in speaker_wav]))
        return (self.known[speaker] * 1e-5 + 0.01 * torch.randn(24_000)).tolist()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> type[FakeTTS]:
    """The package, installed."""
    module, api = ModuleType("TTS"), ModuleType("TTS.api")
    api.TTS = FakeTTS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "TTS", module)
    monkeypatch.setitem(sys.modules, "TTS.api", api)
    monkeypatch.setattr(coqui, "version", lambda _: "0.28.0")
    return FakeTTS


def voice(tmp_path: Path, speaker: str = "s1") -> Voice:
    of = small_corpus.make(tmp_path, (0.5, 0.6))
    return Voice(speaker=speaker, emotion="sad", utterances=tuple(audio.scan(of.utterances, of.audio_root)[0]), root=of.audio_root)


def test_a_voice_is_learnt_once_from_all_its_utterances(tmp_path: Path, package: type[FakeTTS], capsys: pytest.CaptureFixture[str]) -> None:
    made = coqui.load(torch.device("cpu"))
    first = made.speak("stay", voice(tmp_path), "en", 1)
    assert len(first) == 16_000
    assert (made.speak("stay", voice(tmp_path), "en", 1) == first).all()
    assert not (made.speak("stay", voice(tmp_path), "fr", 2) == first).all()
    made.speak("stay", voice(tmp_path, "s2"), "", 1)
    assert made._tts.given == [("voice0", 2, "en"), ("voice0", None, "en"), ("voice0", None, "fr-fr"), ("voice1", 2, "en")]
    assert capsys.readouterr().out == ""
    assert made.about == "tts_models/multilingual/multi-dataset/your_tts by coqui-tts 0.28.0"


def test_what_yourtts_does_not_speak_is_one_reason_and_its_voice_is_learnt_later(tmp_path: Path, package: type[FakeTTS]) -> None:
    made = coqui.load(torch.device("cpu"))
    with pytest.raises(AugmentationError, match=r"YourTTS does not speak it \(Kernel size"):
        made.speak("?", voice(tmp_path), "en", 1)
    made.speak("stay", voice(tmp_path), "en", 1)
    assert made._tts.given == [("voice0", 2, "en")]


def test_a_model_that_cannot_be_had_is_one_clear_error(package: type[FakeTTS], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(sys.modules["TTS.api"], "TTS", refuse)
    with pytest.raises(EncoderError, match=r"your_tts: cannot be had or loaded \(no route to host\); run this once where there is"):
        coqui.load(torch.device("cpu"))


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path, shell: Shell) -> None:
    try:
        importlib.metadata.version("coqui-tts")
    except importlib.metadata.PackageNotFoundError:
        corpus(tmp_path)
        assert shell.run("augment --text none --speech coqui --device cpu") == 2
        assert shell.err == 'emocache: --speech coqui: coqui-tts is not installed; run: pip install "emocache[coqui]"\n'
    else:
        pytest.skip("coqui-tts is installed here")

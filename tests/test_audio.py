"""Decoding: what comes out of a file, what is said of a bad one, and that nothing is decoded twice."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from emocache import audio
from emocache.errors import AudioError
from emocache.manifest import read_csv
from emocache.types import Utterance


def sine(hz: float, seconds: float = 0.5, rate: int = 16_000) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def written(path: Path, wave: NDArray[np.float64], rate: int = 16_000, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def loudest_hz(wave: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * 16_000 / len(wave))


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz_of_the_same_length_and_tone(tmp_path: Path, rate: int) -> None:
    wave = audio.load(written(tmp_path / "a.wav", sine(1000, rate=rate), rate))
    assert wave.shape == (8000,)
    assert loudest_hz(wave) == pytest.approx(1000, abs=2)
    assert np.abs(wave[1000:-1000]).max() == pytest.approx(0.5, abs=0.01)


def test_what_16_khz_cannot_hold_is_filtered_out_and_not_folded_back(tmp_path: Path) -> None:
    wave = audio.load(written(tmp_path / "a.wav", sine(10_000, rate=48_000), 48_000))
    assert np.abs(wave[1000:-1000]).max() < 1e-4


def test_16_khz_pcm_comes_out_sample_for_sample(tmp_path: Path) -> None:
    pcm = np.array([0, 1, -1, 32767, -32768], dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)
    wave = audio.load(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    np.testing.assert_array_equal(wave, pcm / np.float32(32768))


def test_channels_are_averaged_unless_one_is_picked(tmp_path: Path) -> None:
    stereo = np.stack([np.full(800, 0.5), np.full(800, -0.25)], axis=1)
    path = written(tmp_path / "a.wav", stereo)
    assert audio.load(path)[0] == 0.125
    assert audio.load(path, channel=0)[0] == 0.5
    assert audio.load(path, channel=1)[0] == -0.25


@pytest.mark.parametrize("channel", [2, -1])
def test_a_channel_that_is_not_there_is_refused(tmp_path: Path, channel: int) -> None:
    path = written(tmp_path / "a.wav", np.zeros((800, 2)))
    with pytest.raises(AudioError, match=f"channel {channel} asked for, but it has 2"):
        audio.load(path, channel=channel)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_start_and_end_cut_out_exactly_their_samples(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a.{suffix}", np.linspace(-0.5, 0.5, 8000))  # every sample differs from every other
    np.testing.assert_array_equal(audio.load(path, start_s=0.1, end_s=0.3), audio.load(path)[1600:4800])
    np.testing.assert_array_equal(audio.load(path, start_s=0.4), audio.load(path)[6400:])


def test_an_end_that_was_rounded_up_is_the_end_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", sine(440))
    assert len(audio.load(path, end_s=0.54)) == 8000


@pytest.mark.parametrize(
    ("start_s", "end_s", "message"),
    [
        (None, 0.6, "lasts 0.50 s, but the utterance ends at 0.60 s"),
        (0.5, None, "no audio between 0.50 s and 0.50 s"),
        (0.3, 0.2, "no audio between 0.30 s and 0.20 s"),
        (-0.1, 0.2, "no audio between -0.10 s and 0.20 s"),
    ],
)
def test_a_stretch_outside_the_file_is_refused(tmp_path: Path, start_s: float | None, end_s: float | None, message: str) -> None:
    path = written(tmp_path / "a.wav", sine(440))
    with pytest.raises(AudioError, match=message):
        audio.load(path, start_s=start_s, end_s=end_s)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", b"", r"is empty \(0 bytes\)"),
        ("a.wav", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not audio; run `git lfs pull`"),
        ("a.wav", b"hello\n" * 20, r"cannot be decoded \(Format not recognised\)"),
        ("a.raw", b"\0" * 20, "has no header to tell rate and channels; convert it"),
    ],
)
def test_a_file_that_is_no_audio_has_its_reason(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=rf"{name}: {message}"):
        audio.load(tmp_path / name)


def test_a_file_that_is_not_there_has_its_reason(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: cannot be opened \(No such file or directory\)"):
        audio.load(tmp_path / "gone.wav")


@pytest.mark.parametrize(
    ("suffix", "bytes_kept", "message"),
    [
        ("wav", 10_000, "broken off after 9956 of 16000 bytes of audio"),
        ("wav", 44, "broken off after 0 of 16000 bytes of audio"),
        ("wav", 30, "cannot be decoded"),
        ("flac", 2000, "cannot be decoded"),
    ],
)
def test_a_file_that_was_cut_off_is_not_taken_for_a_shorter_one(tmp_path: Path, suffix: str, bytes_kept: int, message: str) -> None:
    path = written(tmp_path / f"a.{suffix}", sine(440))
    path.write_bytes(path.read_bytes()[:bytes_kept])
    with pytest.raises(AudioError, match=message):
        audio.load(path)


def test_a_wav_written_to_a_pipe_has_no_length_in_its_header_and_is_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", sine(440))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert len(audio.load(path)) == 8000


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="has a header but no audio"):
        audio.load(written(tmp_path / "a.wav", np.zeros(0)))


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.array([0.0, np.nan]), subtype="FLOAT")
    with pytest.raises(AudioError, match="samples that are not finite"):
        audio.load(path)


def test_the_digest_is_sha_256_of_the_float32_samples() -> None:
    wave = np.array([0.0, 0.5, -1.0], dtype=np.float32)
    assert audio.digest(wave) == hashlib.sha256(bytes.fromhex("00000000 0000003f 000080bf")).hexdigest()


def test_wav_and_flac_of_the_same_samples_have_the_same_digest(tmp_path: Path) -> None:
    pcm = (sine(440) * 32768).astype(np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, pcm, 16_000)
    assert audio.digest(audio.load(tmp_path / "a.wav")) == audio.digest(audio.load(tmp_path / "a.flac"))


def test_one_sample_changes_the_digest() -> None:
    wave = np.zeros(100, dtype=np.float32)
    changed = wave.copy()
    changed[50] = 1e-7
    assert audio.digest(wave) != audio.digest(changed)


def test_real_speech_decodes_to_the_samples_that_its_corpus_lists(ravdess_root: Path) -> None:
    for utterance in read_csv(ravdess_root / "manifest.csv")[::96]:
        wave = audio.load_utterance(utterance, ravdess_root)
        pcm = np.round(wave * 32768).astype("<i2")
        assert hashlib.sha256(pcm.tobytes()).hexdigest() == utterance.extra["pcm_sha256"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    written(tmp_path / "a.wav", sine(440))
    written(tmp_path / "b.wav", sine(660, seconds=0.25))
    return tmp_path


A = Utterance(id="a", path="a.wav")
B = Utterance(id="b", path="b.wav")


def scanned_ids(monkeypatch: pytest.MonkeyPatch, utterances: list[Utterance], root: Path, memory: Path | None) -> list[str]:
    """The ids of the utterances that one scan decodes."""
    decoded: list[str] = []
    real = audio.load_utterance

    def counted(utterance: Utterance, root: Path) -> NDArray[np.float32]:
        decoded.append(utterance.id)
        return real(utterance, root)

    with monkeypatch.context() as patch:
        patch.setattr(audio, "load_utterance", counted)
        audio.scan(utterances, root, memory)
    return sorted(decoded)


def test_a_scan_gives_lengths_and_digests_in_the_given_order(corpus: Path) -> None:
    heard, unreadable = audio.scan([B, A], corpus)
    assert [(utterance.id, utterance.samples) for utterance in heard] == [("b", 4000), ("a", 8000)]
    assert [utterance.audio_sha256 for utterance in heard] == [audio.digest(audio.load(corpus / name)) for name in ("b.wav", "a.wav")]
    assert unreadable == {}


def test_what_cannot_be_read_is_returned_by_id_with_its_reason(corpus: Path) -> None:
    (corpus / "b.wav").write_bytes(b"")
    heard, unreadable = audio.scan([A, B, Utterance(id="c", path="c.wav")], corpus)
    assert [utterance.id for utterance in heard] == ["a"]
    assert list(unreadable) == ["b", "c"]
    assert unreadable["b"].endswith("b.wav: is empty (0 bytes)")


def test_an_unchanged_file_is_not_decoded_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = corpus / "new" / "audio.csv"
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == ["a", "b"]
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == []


def test_what_was_remembered_equals_what_was_decoded(corpus: Path) -> None:
    memory = corpus / "audio.csv"
    assert audio.scan([A, B], corpus, memory) == audio.scan([A, B], corpus, memory)


def test_a_touched_file_is_decoded_again_and_no_other(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = corpus / "audio.csv"
    audio.scan([A, B], corpus, memory)
    os.utime(corpus / "b.wav", ns=(1, 1))
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == ["b"]


def test_another_stretch_of_the_same_file_is_decoded_anew(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = corpus / "audio.csv"
    audio.scan([A, B], corpus, memory)
    assert scanned_ids(monkeypatch, [Utterance(id="a", path="a.wav", end_s=0.1), B], corpus, memory) == ["a"]


def test_another_file_of_the_same_size_and_time_is_not_mistaken_for_the_first(corpus: Path) -> None:
    written(corpus / "c.wav", sine(880))
    for name in ("a.wav", "c.wav"):
        os.utime(corpus / name, ns=(1, 1))
    memory = corpus / "audio.csv"
    (first,), _ = audio.scan([A], corpus, memory)
    (second,), _ = audio.scan([Utterance(id="a", path="c.wav")], corpus, memory)
    assert first.audio_sha256 != second.audio_sha256


def test_a_file_that_broke_since_the_last_scan_is_not_remembered_as_good(corpus: Path) -> None:
    memory = corpus / "audio.csv"
    audio.scan([A, B], corpus, memory)
    (corpus / "b.wav").unlink()
    assert list(audio.scan([A, B], corpus, memory)[1]) == ["b"]


@pytest.mark.parametrize("damage", ["", "a,b\n", "\x00", 'a,"\n', "a,stamp,many,sha\n"])
def test_a_damaged_memory_is_learnt_again(corpus: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    memory = corpus / "audio.csv"
    audio.scan([A, B], corpus, memory)
    memory.write_text(damage)
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == ["a", "b"]
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == []


def test_a_scan_of_some_forgets_nothing_of_the_others(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = corpus / "audio.csv"
    audio.scan([A], corpus, memory)
    audio.scan([B], corpus, memory)
    assert scanned_ids(monkeypatch, [A, B], corpus, memory) == []


def test_a_memory_that_cannot_be_written_only_costs_a_scan(corpus: Path) -> None:
    (corpus / "file").write_text("in the way")
    heard, _ = audio.scan([A, B], corpus, corpus / "file" / "audio.csv")
    assert len(heard) == 2
